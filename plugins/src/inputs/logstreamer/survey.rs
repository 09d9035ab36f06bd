//! What an input would read: for `hekad logstreamer`.
//!
//! Owns:    the text.
//! Runs on: the main thread of the tool.            Plane: control.
//! Bounds:  as the scan; a journal's position is looked for as the daemon would.
//! Never:   changes anything, or starts a thread.

use std::fmt::Write;
use std::path::Path;

use engine::plugin::Survey;
use engine::words::counted;

use super::folder::scan;
use super::journal::{Journal, Kept};
use super::order::LogFile;
use super::position::{Reason, Start, begin};
use super::registry::Settings;
use super::{said, search};

/// Looks at the folder and the journals.
pub(super) fn survey(settings: &Settings) -> Survey {
    let mut survey = Survey::default();
    let listed =
        std::fs::canonicalize(&settings.folder).and_then(|root| scan(&search(settings, &root)));
    let found = match listed {
        Ok(found) => found,
        Err(error) => {
            problem(
                &mut survey,
                &format!("{}: {error}", settings.folder.display()),
            );
            return survey;
        }
    };
    let streams = found.arranged.streams;
    line(
        &mut survey,
        &format!(
            "{} in {} below {}",
            counted(streams.len(), "logstream"),
            counted(found.files, "file"),
            settings.folder.display()
        ),
    );
    for (name, files) in &streams {
        stream(&mut survey, settings, name, files);
    }
    if !found.arranged.problems.is_empty() {
        line(&mut survey, "");
    }
    for text in &found.arranged.problems {
        problem(&mut survey, text);
    }
    survey
}

fn line(survey: &mut Survey, text: &str) {
    survey.text.push_str(text);
    survey.text.push('\n');
}

fn problem(survey: &mut Survey, text: &str) {
    survey.problems += 1;
    line(survey, &format!("Problem: {text}"));
}

fn stream(survey: &mut Survey, settings: &Settings, name: &str, files: &[LogFile]) {
    line(survey, &format!("\nLogstream name: [{name}]"));
    let (old, files): (Vec<LogFile>, Vec<LogFile>) =
        files.iter().cloned().partition(|file| file.old);
    let journal = settings.journal(name);
    let kept = Journal::read(&journal);
    line(
        survey,
        &match &kept {
            Ok(Kept::Nothing) => format!("Journal: none yet ({})", journal.display()),
            Ok(Kept::Position(position)) => format!(
                "Journal: {}: byte {} of {}",
                journal.display(),
                position.seek,
                position.file_name
            ),
            Ok(Kept::Damaged(_)) | Err(_) => format!("Journal: {}", journal.display()),
        },
    );
    if files.is_empty() {
        line(
            survey,
            "Starts: not at all, all of its files are older than `oldest_duration`",
        );
    } else {
        match kept {
            Ok(kept) => starts(survey, settings, name, &journal, &kept, &files),
            Err(error) => problem(survey, &format!("{}: {error}", journal.display())),
        }
    }
    line(
        survey,
        &format!("Files: {} (oldest to newest)", files.len()),
    );
    for file in &files {
        line(
            survey,
            &format!("    {} ({})", file.path, counted(file.state.size, "byte")),
        );
    }
    if !old.is_empty() {
        let text = format!(
            "Left out: {} not written to within `oldest_duration`, the newest is {}",
            counted(old.len(), "file"),
            old[old.len() - 1].path
        );
        line(survey, &text);
    }
}

fn starts(
    survey: &mut Survey,
    settings: &Settings,
    name: &str,
    journal: &Path,
    kept: &Kept,
    files: &[LogFile],
) {
    let position = match kept {
        Kept::Position(position) => Some(position),
        Kept::Nothing | Kept::Damaged(_) => None,
    };
    let tail = settings.tail && *kept == Kept::Nothing;
    match begin(files, position, tail) {
        Ok(None) => line(survey, "Starts: as soon as one of its files has content"),
        Ok(Some(start)) => {
            line(survey, &starts_at(&start, files));
            if let Some(text) = said::start(name, journal, kept, &start, files) {
                problem(survey, &text);
            }
        }
        Err(refused) => problem(survey, &said::refused(name, &refused)),
    }
}

fn starts_at(start: &Start, files: &[LogFile]) -> String {
    let mut text = format!(
        "Starts: {} at byte {}",
        files[start.index].path,
        start.content.seek()
    );
    let why = match start.reason {
        Reason::Oldest | Reason::Lost => "the beginning of its oldest file",
        Reason::Tail => "the end of its newest file, by `initial_tail`",
        Reason::Journal => "where its journal says",
        Reason::Moved => "where its journal says; the file has another name since",
    };
    // Writing to a String does not fail.
    let _ = write!(text, ", {why}");
    text
}
