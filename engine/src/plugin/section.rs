//! A plugin's section of the configuration, as its `build` sees it: checked options, and a place for complaints.
//!
//! Owns:    `Section`, `Report`, `Complaint`.
//! Runs on: build time.            Plane: control.
//! Bounds:  one section at a time.
//! Never:   knows files or positions; `control::plan` turns the path of a complaint into a place in a file.

use std::ops::Range;

use matcher::pattern::Pattern;

use super::options::HekadOptions;

/// What is wrong with a section, and with which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Keys from the section down (`["tls", "cert_file"]`); a decimal number picks an element of an array.
    /// Empty for the section as a whole. Where a key is not written, the nearest thing above it is shown.
    pub path: Vec<String>,
    /// Bytes of the (decoded) text value that it is about; `None` for the whole value.
    pub within: Option<Range<usize>>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Whether the configuration works nevertheless.
    pub warning: bool,
}

impl Complaint {
    /// Adds what to do about it.
    pub fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.help = Some(text.into());
        self
    }

    /// Narrows it to some bytes of the text value (a column of a regular expression, for example).
    pub fn within(&mut self, bytes: Range<usize>) -> &mut Self {
        self.within = Some(bytes);
        self
    }
}

/// The complaints about one section, in the order in which they were made.
#[derive(Debug, Default)]
pub struct Report {
    complaints: Vec<Complaint>,
    errors: usize,
}

impl Report {
    /// Notes an error: the configuration will be refused.
    pub fn problem(&mut self, path: &[&str], message: impl Into<String>) -> &mut Complaint {
        self.errors += 1;
        self.push(path, message.into(), false)
    }

    /// Notes something that works, but hardly as its writer thinks.
    pub fn warning(&mut self, path: &[&str], message: impl Into<String>) -> &mut Complaint {
        self.push(path, message.into(), true)
    }

    /// Whether an error was noted.
    pub fn has_problems(&self) -> bool {
        self.errors > 0
    }

    /// All of them.
    pub fn into_complaints(self) -> Vec<Complaint> {
        self.complaints
    }

    fn push(&mut self, path: &[&str], message: String, warning: bool) -> &mut Complaint {
        self.complaints.push(Complaint {
            path: path.iter().map(|key| (*key).to_owned()).collect(),
            within: None,
            message,
            help: None,
            warning,
        });
        let last = self.complaints.len() - 1;
        &mut self.complaints[last]
    }
}

/// What a plugin's `build` is given beside its own options. `C` are the options common to its kind.
#[derive(Debug)]
pub struct Section<'a, C> {
    name: &'a str,
    common: &'a C,
    hekad: &'a HekadOptions,
    report: &'a mut Report,
}

impl<'a, C> Section<'a, C> {
    /// A section with this name. Tests of plugins use it too.
    pub fn new(
        name: &'a str,
        common: &'a C,
        hekad: &'a HekadOptions,
        report: &'a mut Report,
    ) -> Self {
        Section {
            name,
            common,
            hekad,
            report,
        }
    }

    /// The section's name, which is the plugin's name in messages and reports.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The options common to the kind.
    pub fn common(&self) -> &'a C {
        self.common
    }

    /// The `[hekad]` section; its `hostname` is never empty here.
    pub fn hekad(&self) -> &'a HekadOptions {
        self.hekad
    }

    /// Notes an error about a key: `section.problem(&["delimiter"], "must be a single byte")`.
    pub fn problem(&mut self, path: &[&str], message: impl Into<String>) -> &mut Complaint {
        self.report.problem(path, message)
    }

    /// Notes a warning about a key.
    pub fn warning(&mut self, path: &[&str], message: impl Into<String>) -> &mut Complaint {
        self.report.warning(path, message)
    }

    /// A regular expression in Go's syntax; notes an error with its place where it is none.
    pub fn pattern(&mut self, path: &[&str], source: &str) -> Option<Pattern> {
        match Pattern::parse(source) {
            Ok(pattern) => Some(pattern),
            Err(fault) => {
                let complaint = self.problem(path, fault.message).within(fault.span);
                if let Some(help) = fault.help {
                    complaint.help(help);
                }
                None
            }
        }
    }

    /// Whether an error was noted about this section.
    pub fn has_problems(&self) -> bool {
        self.report.has_problems()
    }
}
