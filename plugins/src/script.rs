//! What the five plugins that run Lua scripts have in common.
//!
//! Owns:    `Script`, a checked script with its settings, and `Running`, one machine that runs it.
//! Runs on: made at build time; machines on the shard of their plugin, or on its thread.            Plane: both, as each part says.
//! Bounds:  the script's own limits.
//! Never:   goes on with a machine that has ended.

mod counted;
pub(crate) mod fill;
mod instances;
mod lives;
mod made;
mod options;
mod remarks;
mod source;

use std::path::PathBuf;
use std::sync::Arc;

use codecs::time::Zone;
use engine::plugin::{Fault, Figure, Section, Times};
use sandbox::{Cause, Kind, Program, Sandbox, Settings, Terminated};

use counted::{Counted, Slot};
pub(crate) use instances::shared;
pub(crate) use lives::Lives;
pub(crate) use made::{Item, Made};
pub(crate) use options::{Chosen, options};
pub(crate) use remarks::Last;

/// Folder of preserved state below `base_dir`, as in Heka.
const PRESERVED: &str = "sandbox_preservation";

/// Ending of its files.
const PRESERVED_EXTENSION: &str = "data";

/// A checked script, and how it is run.
pub(crate) struct Script {
    program: Arc<Program>,
    settings: Settings,
    /// Where state is preserved, without the number of the instance and the ending.
    preserved: Option<PathBuf>,
    /// Zone of the times that it injects.
    pub(crate) zone: Zone,
    /// Whether that is UTC, so that nothing is to be done about them.
    pub(crate) is_utc: bool,
    counted: Counted,
    profile: bool,
}

impl Script {
    /// The script of a section; complaints where there is none.
    pub(crate) fn build<C>(
        chosen: Chosen<'_>,
        kind: Kind,
        section: &mut Section<'_, C>,
    ) -> Option<Arc<Script>> {
        if chosen.script_type != "lua" {
            section
                .problem(
                    &["script_type"],
                    format!("there are no scripts of the type `{}`", chosen.script_type),
                )
                .help("the only type is \"lua\"");
        }
        let zone = chosen.zone(section);
        chosen.warn_of_config(section);
        let program = source::program(&chosen, section);
        let hekad = section.hekad();
        let settings = Settings {
            limits: chosen.limits(kind),
            module_directories: chosen.module_directories(hekad),
            config: chosen.config(),
            native: chosen.native,
            fast_path: chosen.fast_path,
            sample_denominator: match chosen.profile {
                true => 1,
                false => u32::try_from(hekad.sample_denominator).unwrap_or(u32::MAX),
            },
            message_bytes_max: hekad.message_bytes_max(),
            ..Settings::new(kind, section.name())
        };
        let preserved = chosen.preserve_data.then(|| {
            hekad
                .below_base_dir(PRESERVED)
                .join(file_name(section.name()))
        });
        if section.has_problems() {
            return None;
        }
        Some(Arc::new(Script {
            program: Arc::new(program?),
            settings,
            preserved,
            is_utc: chosen.is_utc(),
            zone: zone?,
            counted: Counted::default(),
            profile: chosen.profile,
        }))
    }

    /// Name of the plugin.
    pub(crate) fn name(&self) -> &str {
        &self.settings.name
    }

    /// Largest message, bytes.
    pub(crate) fn message_bytes_max(&self) -> usize {
        self.settings.message_bytes_max
    }

    /// Makes a machine and runs the script itself in it.
    pub(crate) fn start(self: &Arc<Script>) -> Result<Running, Terminated> {
        let slot = self.counted.claim();
        let mut settings = self.settings.clone();
        settings.preserve = self
            .preserved
            .as_ref()
            .map(|path| numbered(path, slot.number()));
        let sandbox = Sandbox::new(&self.program, settings)?;
        slot.begin(sandbox.stopper());
        Ok(Running {
            sandbox,
            slot,
            script: Arc::clone(self),
            is_preserved: false,
        })
    }

    /// Whether the script can be run, found out without leaving a trace.
    pub(crate) fn probe(&self) -> Result<(), Fault> {
        let settings = Settings {
            preserve: None,
            ..self.settings.clone()
        };
        match Sandbox::new(&self.program, settings) {
            Ok(_) => Ok(()),
            Err(ended) => Err(Fault::for_good(told(&ended))),
        }
    }

    /// What all machines have counted, without what the engine counts itself for a plugin of this kind.
    pub(crate) fn figures(&self, tell: &mut dyn FnMut(Figure)) {
        self.counted.tell(self.settings.kind, self.profile, tell);
    }

    /// Ends what machines are running now.
    pub(crate) fn abort(&self) {
        self.counted.abort();
    }
}

/// What stands in the log about the end of a machine: the text, where the script was, and what helps where the script is not at fault.
pub(crate) fn told(ended: &Terminated) -> String {
    let mut told = ended.text.clone();
    let mut places: Vec<(&str, u32)> = Vec::new();
    for place in ended.trace.lines() {
        match places.last_mut() {
            Some((last, times)) if *last == place => *times += 1,
            _ => places.push((place, 1)),
        }
    }
    if !places.is_empty() {
        let places = places.iter();
        let places: Vec<String> = places
            .map(|(place, times)| format!("{place}{}", Times(u64::from(*times))))
            .collect();
        told.push_str(&format!(" (stack: {})", places.join(" < ")));
    }
    if ended.cause == Cause::Preservation {
        told.push_str("; without that file the script begins anew");
    }
    told
}

/// A name as part of a file's name, as Heka makes it: what is no letter, digit or underscore becomes an underscore.
pub(crate) fn file_name(name: &str) -> String {
    let is_word = |one: char| one.is_ascii_alphanumeric() || one == '_';
    name.chars()
        .map(|one| if is_word(one) { one } else { '_' })
        .collect()
}

/// The file of an instance: the first has Heka's name.
fn numbered(path: &std::path::Path, number: usize) -> PathBuf {
    let extension = match number {
        0 => PRESERVED_EXTENSION.to_owned(),
        number => format!("{number}.{PRESERVED_EXTENSION}"),
    };
    let mut file = path.as_os_str().to_owned();
    file.push(".");
    file.push(extension);
    file.into()
}

/// The state of a machine that has ended, to be written.
pub(crate) struct LastState {
    state: sandbox::LastState,
    script: Arc<Script>,
}

impl LastState {
    /// Writes it. An error says what is lost.
    pub(crate) fn write(self) -> Result<(), String> {
        self.state.write().map_err(|error| {
            self.script.counted.unpreserved();
            format!("{error}; the script begins anew at the next start")
        })
    }
}

/// One machine that runs a script. Dropped, it preserves its state where that is wanted and good.
pub(crate) struct Running {
    sandbox: Sandbox,
    slot: Arc<Slot>,
    script: Arc<Script>,
    is_preserved: bool,
}

impl Running {
    /// The machine.
    #[inline]
    pub(crate) fn sandbox(&mut self) -> &mut Sandbox {
        &mut self.sandbox
    }

    /// Shows reports what it has counted so far.
    #[inline]
    pub(crate) fn count(&self) {
        self.slot.set(&self.sandbox.figures());
    }

    /// Preserves the script's state at its end, where that is wanted and good. An error says what is lost.
    pub(crate) fn preserve(&mut self) -> Result<(), String> {
        self.last_state().map_or(Ok(()), LastState::write)
    }

    /// The script's state at its end, where it is wanted and good, for somebody who can wait for the disk.
    pub(crate) fn last_state(&mut self) -> Option<LastState> {
        if std::mem::replace(&mut self.is_preserved, true) {
            return None;
        }
        let state = self.sandbox.last_state()?;
        Some(LastState {
            state,
            script: Arc::clone(&self.script),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.count();
        // Whoever can tell of an error has asked before; reports show that there was one.
        let _ = self.preserve();
        self.slot.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_script_is_told_with_its_places_and_what_helps() {
        let mut ended = Terminated {
            cause: Cause::Error,
            text: "stack overflow".to_owned(),
            trace: String::new(),
        };
        assert_eq!(told(&ended), "stack overflow");
        ended.trace = "a.lua:1\n".repeat(20) + "a.lua:2\na.lua:1\n";
        let places = "(stack: a.lua:1 (20 times) < a.lua:2 < a.lua:1)";
        assert_eq!(told(&ended), format!("stack overflow {places}"));
        ended.cause = Cause::Preservation;
        assert!(told(&ended).ends_with("; without that file the script begins anew"));
    }
}
