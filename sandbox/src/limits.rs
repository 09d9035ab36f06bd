//! What a script may use: memory, instructions, time, output.
//!
//! Owns:    `SandboxLimits` and Heka's defaults (`docs/parity/sandbox.toml`).
//! Runs on: build time.            Plane: control.
//! Bounds:  zero means unlimited, as Heka.
//! Never:   enforces; the host does.

use std::time::Duration;

/// Processor time of one call where `instruction_limit` is not written in the configuration.
///
/// Heka's default of a million instructions takes some ten milliseconds; a script that stays below it is nowhere near this.
pub const CPU_TIME_DEFAULT: Duration = Duration::from_millis(500);

/// Time of one call by the clock, for a script that waits more than it computes.
pub const WALL_TIME_DEFAULT: Duration = Duration::from_secs(30);

/// Limits of one script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SandboxLimits {
    /// Heap, bytes.
    pub memory_bytes: u64,
    /// Safepoints (loop rounds, calls and returns, steps of the pattern matcher) of one call, where `counts_instructions`.
    pub instructions: u64,
    /// Whether `instructions` was written in the configuration: then safepoints are counted, exactly and repeatably. Otherwise none is, and
    /// `cpu_time` takes the place of Heka's default.
    pub counts_instructions: bool,
    /// Processor time of one call; zero for none. Checked from outside some twenty times a second.
    pub cpu_time: Duration,
    /// Time of one call by the clock; zero for none.
    pub wall_time: Duration,
    /// Output per call, bytes.
    pub output_bytes: u64,
}

impl Default for SandboxLimits {
    fn default() -> Self {
        SandboxLimits {
            memory_bytes: 8 * 1024 * 1024,
            instructions: 1_000_000,
            counts_instructions: false,
            cpu_time: CPU_TIME_DEFAULT,
            wall_time: WALL_TIME_DEFAULT,
            output_bytes: 63 * 1024,
        }
    }
}

impl SandboxLimits {
    /// The same with a written `instruction_limit`; zero for none, of time neither.
    pub fn with_instructions(self, instructions: u64) -> SandboxLimits {
        let none = instructions == 0;
        SandboxLimits {
            instructions,
            counts_instructions: !none,
            cpu_time: if none { Duration::ZERO } else { self.cpu_time },
            wall_time: if none { Duration::ZERO } else { self.wall_time },
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_hekas() {
        let limits = SandboxLimits::default();
        assert_eq!(
            (
                limits.memory_bytes,
                limits.instructions,
                limits.output_bytes
            ),
            (8_388_608, 1_000_000, 64_512)
        );
    }

    #[test]
    fn a_written_limit_is_counted_and_zero_is_none() {
        let limits = SandboxLimits::default();
        assert!(!limits.counts_instructions);
        assert!(limits.with_instructions(10).counts_instructions);
        let none = limits.with_instructions(0);
        assert!(!none.counts_instructions && none.cpu_time.is_zero() && none.wall_time.is_zero());
    }
}
