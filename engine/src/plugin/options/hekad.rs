//! The global `[hekad]` section.
//!
//! Owns:    `HekadOptions` and what its sizes mean.
//! Runs on: build time.            Plane: control.
//! Bounds:  as each option says.
//! Never:   reads the environment: an empty `hostname` is filled in when the plan is built.

use codecs::limits;
use codecs::time::Strftime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Duration;

/// Options of the daemon.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HekadOptions {
    /// Cores to work on, one shard each; zero means all that the process may run on
    pub shards: u32,
    /// How long each of the three phases of an orderly shutdown may take (inputs, deliveries, outputs)
    pub shutdown_timeout: Duration,
    /// How long a shard may stand still, because a plugin does not come back, before the daemon ends without it; zero is for ever
    pub stall_timeout: Duration,
    /// Go scheduler processor count
    #[schemars(extend("x-no-effect" = "`shards` says how many cores are used"))]
    pub maxprocs: i64,
    /// Message packs in the input and injection pools each
    #[schemars(extend("x-no-effect" = "pools are sized by the plan"))]
    pub poolsize: i64,
    /// Buffer length of plugin input channels
    #[schemars(extend("x-no-effect" = "queues between shards are sized by the plan"))]
    pub plugin_chansize: i64,
    /// File receiving a CPU profile
    #[schemars(extend("x-no-effect" = "profile the process with perf instead"))]
    pub cpuprof: String,
    /// File receiving a heap profile at exit
    #[schemars(extend("x-no-effect" = "memory for messages is fixed at start"))]
    pub memprof: String,
    /// Times a message may be injected again; zero means one
    #[schemars(range(max = 255))]
    pub max_message_loops: u32,
    /// Injections per process_message call of a sandbox filter
    pub max_process_inject: u32,
    /// Nanoseconds that a process_message call of a loaded sandbox filter may take on average while it holds up its shard
    pub max_process_duration: u64,
    /// Injections per timer_event call of a sandbox filter
    pub max_timer_inject: u32,
    /// Idle time after which packs count as leaked
    #[schemars(extend("x-no-effect" = "packs cannot leak"))]
    pub max_pack_idle: Duration,
    /// Root for relative paths of what is written at run time
    pub base_dir: String,
    /// Root for relative paths of scripts and other resources
    pub share_dir: String,
    /// One in this many calls of a script's process_message is timed; of anything else one batch in 64 is, whatever this says
    #[schemars(range(min = 1))]
    pub sample_denominator: i64,
    /// File receiving the process id
    pub pid_file: String,
    /// Name used in the messages that are made here
    #[schemars(extend("x-default" = "<os hostname>"))]
    pub hostname: String,
    /// Largest message in bytes, more than 1024; zero means 65536
    #[schemars(range(max = 268_435_456))]
    pub max_message_size: u64,
    /// What stands before each log line: 3 is date and time, 0 is nothing
    pub log_flags: i64,
    /// Looks at a disk queue that is full at start, a second apart, before `full_action = "shutdown"` ends the daemon
    pub full_buffer_max_retries: u32,
}

const _: () = assert!(limits::MESSAGE_BYTES_MAX == 268_435_456);

impl Default for HekadOptions {
    fn default() -> Self {
        HekadOptions {
            shards: 0,
            shutdown_timeout: Duration::seconds(30),
            stall_timeout: Duration::seconds(30),
            maxprocs: 1,
            poolsize: 100,
            plugin_chansize: 30,
            cpuprof: String::new(),
            memprof: String::new(),
            max_message_loops: 4,
            max_process_inject: 1,
            max_process_duration: 100_000,
            max_timer_inject: 10,
            max_pack_idle: Duration::seconds(120),
            base_dir: "/var/cache/hekad".to_owned(),
            share_dir: "/usr/share/heka".to_owned(),
            sample_denominator: 1000,
            pid_file: String::new(),
            hostname: String::new(),
            max_message_size: 0,
            log_flags: 3,
            full_buffer_max_retries: 10,
        }
    }
}

impl HekadOptions {
    /// Largest message, bytes.
    pub fn message_bytes_max(&self) -> usize {
        match self.max_message_size {
            0 => limits::MESSAGE_BYTES_DEFAULT,
            bytes => usize::try_from(bytes)
                .unwrap_or(limits::MESSAGE_BYTES_MAX)
                .min(limits::MESSAGE_BYTES_MAX),
        }
    }

    /// Largest record, bytes: a message with its frame.
    pub fn record_bytes_max(&self) -> usize {
        limits::record_bytes_max(self.message_bytes_max())
    }

    /// How often a message may be injected again.
    pub fn message_loops_max(&self) -> u8 {
        u8::try_from(self.max_message_loops.max(1)).unwrap_or(u8::MAX)
    }

    /// A path of something written at run time: as it is, or below `base_dir`.
    pub fn below_base_dir(&self, path: &str) -> std::path::PathBuf {
        std::path::Path::new(&self.base_dir).join(path)
    }

    /// A path of a resource: as it is, or below `share_dir`.
    pub fn below_share_dir(&self, path: &str) -> std::path::PathBuf {
        std::path::Path::new(&self.share_dir).join(path)
    }
}

/// What stands before each line of the log by `log_flags`, which are Go's: 1 a date, 2 a time, 4 microseconds.
pub fn log_prefix(log_flags: i64) -> Option<Strftime> {
    let date = log_flags & 1 != 0;
    let format = match (date, log_flags & 0b110) {
        (false, 0) => return None,
        (true, 0) => "%Y/%m/%d ",
        (false, 2) => "%H:%M:%S ",
        (true, 2) => "%Y/%m/%d %H:%M:%S ",
        (false, _) => "%H:%M:%S.%f ",
        (true, _) => "%Y/%m/%d %H:%M:%S.%f ",
    };
    Some(Strftime::new(format).expect("a valid constant format"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use codecs::time::Zone;

    #[test]
    fn log_flags_choose_the_parts_of_the_prefix() {
        let text = |flags| {
            let mut out = Vec::new();
            if let Some(prefix) = log_prefix(flags) {
                prefix.write(1_416_840_893_000_000_500, &Zone::utc(), &mut out);
            }
            String::from_utf8(out).expect("digits")
        };
        assert_eq!(text(0), "");
        assert_eq!(text(8), "");
        assert_eq!(text(1), "2014/11/24 ");
        assert_eq!(text(2), "14:54:53 ");
        assert_eq!(text(3), "2014/11/24 14:54:53 ");
        assert_eq!(text(6), "14:54:53.000000 ");
        assert_eq!(text(7), "2014/11/24 14:54:53.000000 ");
    }
}
