//! How many files and connections this process may have open.
//!
//! Owns:    the limit on descriptors: raising it at start, and what to say when it is reached.
//! Runs on: the main thread at start; any shard when the limit is reached.            Plane: control.
//! Bounds:  the hard limit, which only the system's administrator raises.
//! Never:   lowers a limit.

use std::io;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit to what the process may have at most. The lower one that processes start with is for programs which use `select`.
pub fn raise_limit() -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(())
}

/// What to do about an error that says that no descriptor is left; `None` for other errors.
pub fn advice(error: &io::Error) -> Option<String> {
    match Errno::from_raw(error.raw_os_error()?) {
        Errno::EMFILE => {
            let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
            Some(format!(
                "this process may have {limit} files and connections open: raise that with `ulimit -n` in the shell, \
                 `LimitNOFILE=` in the systemd unit, `--ulimit nofile=` for a container"
            ))
        }
        Errno::ENFILE => Some(
            "this host has as many files open as it may: raise `sysctl fs.file-max`".to_owned(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        raise_limit().unwrap();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, hard);
    }

    #[test]
    fn advice_fits_the_error() {
        let advice = |errno: Errno| advice(&io::Error::from(errno));
        assert!(advice(Errno::EMFILE).unwrap().contains("LimitNOFILE"));
        assert!(advice(Errno::ENFILE).unwrap().contains("fs.file-max"));
        assert_eq!(advice(Errno::ECONNABORTED), None);
    }
}
