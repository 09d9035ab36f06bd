//! What a sandbox has used so far, for reports.
//!
//! Owns:    `Figures`.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  counters only.
//! Never:   reads a clock for every message: one in `sample_denominator` is timed.

/// What a sandbox has used since it was made, under the names of Heka's reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Heap now, bytes.
    pub memory: u64,
    /// Largest heap seen after a call, bytes.
    pub max_memory: u64,
    /// Largest output buffer, bytes.
    pub max_output: u64,
    /// Most safepoints that a call passed; 0 where they are not counted (`instruction_limit` not written).
    pub max_instructions: u64,
    /// Calls of `process_message`, or messages given to `process_messages`.
    pub process_message_count: u64,
    /// Those that answered a status below 0.
    pub process_message_failures: u64,
    /// Calls that were timed.
    pub process_message_samples: u64,
    /// Time of these, nanoseconds.
    pub process_message_duration: u64,
    /// Calls of `timer_event`; each is timed.
    pub timer_event_samples: u64,
    /// Time of these, nanoseconds.
    pub timer_event_duration: u64,
    /// Injections that the host took.
    pub inject_message_count: u64,
}

impl Figures {
    /// Mean time of `process_message`, nanoseconds.
    pub fn process_message_avg_duration(&self) -> u64 {
        self.process_message_duration
            .checked_div(self.process_message_samples)
            .unwrap_or(0)
    }

    /// Mean time of `timer_event`, nanoseconds.
    pub fn timer_event_avg_duration(&self) -> u64 {
        self.timer_event_duration
            .checked_div(self.timer_event_samples)
            .unwrap_or(0)
    }
}
