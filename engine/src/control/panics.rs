//! Panics as sentences of the log.
//!
//! Owns:    the process's panic hook while a plan runs.
//! Runs on: whatever thread panics.            Plane: control.
//! Bounds:  one sentence a panic.
//! Never:   says what a shard will say itself: a panic that is caught where a plugin was called is told of there, with the plugin's name.

use std::io::Write;
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;

use crate::shard::containment;
use crate::shard::run::ToControl;

type Hook = Arc<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// Puts back, when dropped, what was in force before.
pub(super) struct PanicHook {
    before: Hook,
}

impl PanicHook {
    /// Panics become news from now on. Called on the thread that hears them: its own go to standard error.
    pub(super) fn install(news: flume::Sender<ToControl>) -> PanicHook {
        let before: Hook = Arc::from(panic::take_hook());
        let main = std::thread::current().id();
        // With a backtrace, if one is asked for; that is the former hook's business.
        let verbose = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
        let former = Arc::clone(&before);
        panic::set_hook(Box::new(move |info| {
            let sentence = containment::sentence(info);
            if verbose {
                former(info);
            }
            let Some(sentence) = sentence else {
                return;
            };
            let here = std::thread::current().id() == main;
            if here
                || news
                    .try_send(ToControl::Panicked(sentence.clone()))
                    .is_err()
            {
                // Nobody writes the log any more.
                let _ = writeln!(std::io::stderr(), "{sentence}");
            }
        }));
        PanicHook { before }
    }
}

impl Drop for PanicHook {
    fn drop(&mut self) {
        // A thread that panics may not change the hook.
        if !std::thread::panicking() {
            let before = Arc::clone(&self.before);
            panic::set_hook(Box::new(move |info| before(info)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_that_nobody_catches_becomes_a_sentence_among_the_news() {
        let (news, heard) = flume::bounded(64);
        let hook = PanicHook::install(news);
        let thread = std::thread::Builder::new()
            .name("of a plugin".to_owned())
            .spawn(|| panic!("out of\nluck"))
            .expect("a thread");
        assert!(thread.join().is_err());
        drop(hook);
        // Other tests of this process may have panicked meanwhile, as they are meant to.
        let sentences = heard.drain().filter_map(|news| match news {
            ToControl::Panicked(sentence) => Some(sentence),
            _ => None,
        });
        let sentences: Vec<String> = sentences.collect();
        let found = sentences.iter().any(|sentence| {
            sentence.starts_with("thread 'of a plugin' panicked: out of luck (")
                && sentence.contains("panics.rs:")
        });
        assert!(found, "{sentences:?}");
    }
}
