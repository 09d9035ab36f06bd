//! Whether this host lets the daemon use io_uring, and what to change if not.
//!
//! Owns:    the check before the first shard starts, and its advice.
//! Runs on: the main thread, once.            Plane: control.
//! Bounds:  one throw-away ring.
//! Never:   changes a limit of the host.

use std::fmt;
use std::io;

use nix::sys::resource::{Resource, getrlimit};

/// Memory that one ring needs locked on kernels that count it (before 5.12), bytes.
const RING_LOCKED_BYTES: u64 = 512 * 1024;

/// Why the daemon cannot run here.
#[derive(Debug)]
pub struct Refusal {
    error: io::Error,
    locked_limit: Option<u64>,
    shards: usize,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "io_uring is not usable here: {}", self.error)?;
        let needed = RING_LOCKED_BYTES * self.shards as u64;
        match (self.error.raw_os_error(), self.locked_limit) {
            (Some(nix::libc::ENOMEM), Some(limit)) => write!(
                f,
                "  the limit on locked memory is {limit} bytes and {} shard(s) may need {needed}.\n  \
                 Raise it: `ulimit -l unlimited` in the shell, `LimitMEMLOCK=infinity` in the systemd unit, \
                 `--ulimit memlock=-1` for a container.",
                self.shards
            ),
            (Some(nix::libc::EPERM | nix::libc::EACCES), _) => write!(
                f,
                "  the kernel or the container runtime refuses io_uring_setup.\n  \
                 Docker 25 and later, containerd 2, Podman and RHEL 9 block it by default: run the container with a seccomp \
                 profile that allows io_uring_setup, io_uring_enter and io_uring_register \
                 (for a test: `--security-opt seccomp=unconfined`).\n  \
                 On the host itself see `sysctl kernel.io_uring_disabled`: it must be 0, or 1 with the daemon's group in \
                 kernel.io_uring_group."
            ),
            (Some(nix::libc::ENOSYS), _) => write!(
                f,
                "  this kernel has no io_uring: Linux 5.8 or later is needed."
            ),
            _ => write!(f, "  Linux 5.8 or later with io_uring enabled is needed."),
        }
    }
}

impl std::error::Error for Refusal {}

/// Sets up one ring and takes it down again.
pub fn check(shards: usize) -> Result<(), Refusal> {
    super::ring::probe().map_err(|error| Refusal {
        error,
        locked_limit: getrlimit(Resource::RLIMIT_MEMLOCK)
            .ok()
            .map(|(soft, _)| soft),
        shards,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_fits_the_error() {
        let refusal = |code| Refusal {
            error: io::Error::from_raw_os_error(code),
            locked_limit: Some(65536),
            shards: 2,
        };
        assert!(refusal(nix::libc::EPERM).to_string().contains("seccomp"));
        assert!(
            refusal(nix::libc::ENOMEM)
                .to_string()
                .contains("LimitMEMLOCK")
        );
        assert!(refusal(nix::libc::ENOSYS).to_string().contains("5.8"));
    }
}
