//! Files, folders, places.
//!
//! Owns:    what a document looks like once it is read, and where each of its parts stands.
//! Runs on: tests.            Plane: control.
//! Bounds:  one document a test.
//! Never:   builds a plan.

use super::*;

fn surroundings() -> Surroundings {
    let variable = |name: &str| (name == "PORT").then(|| "5565".to_owned());
    Surroundings {
        variable: Box::new(variable),
        hostname: "here".to_owned(),
    }
}

fn parse(texts: &[&str]) -> Result<Document, Problems> {
    let named = texts
        .iter()
        .enumerate()
        .map(|(file, text)| (format!("{file}.toml"), (*text).to_owned()));
    Document::parse(named.collect(), &surroundings())
}

fn at<'a>(document: &'a Document, place: &Place) -> &'a str {
    &document.sources[place.file].written[place.range.clone()]
}

#[test]
fn places_are_those_of_the_text_as_written() {
    let document = parse(&["[a]\nx = ':%ENV[PORT]!'\nU|u = \"a\\/b\" # c\n"]).expect("it is fine");
    let entries = &document.sections[0].entries;
    assert!(matches!(&entries[0].item.value, Written::Text(text) if text == ":5565!"));
    assert_eq!(
        at(&document, &document.place(&entries[0].item)),
        "':%ENV[PORT]!'"
    );
    assert_eq!(
        at(&document, &document.place_within(&entries[0].item, &(5..6))),
        "!"
    );
    assert_eq!(
        at(&document, &document.place_within(&entries[0].item, &(2..3))),
        "%ENV[PORT]"
    );
    assert_eq!(
        (
            entries[1].key.as_str(),
            at(&document, &document.key_place(&entries[1]))
        ),
        ("U|u", "U|u")
    );
    assert!(matches!(&entries[1].item.value, Written::Text(text) if text == "a/b"));
    assert_eq!(
        at(&document, &document.place_within(&entries[1].item, &(2..3))),
        "b"
    );
}

#[test]
fn a_section_exists_once() {
    let problems = parse(&["[a]\n", "[b]\n[a]\n"]).unwrap_err();
    assert_eq!(problems.errors(), 1);
    let problem = &problems.list()[0];
    assert_eq!(
        problem.place,
        Some(Place {
            file: 1,
            range: 5..6
        })
    );
    assert_eq!(
        problem.other.as_ref().map(|(_, place)| place.clone()),
        Some(Place {
            file: 0,
            range: 1..2
        })
    );
}

#[test]
fn of_hekad_the_later_file_wins_by_key() {
    let document = parse(&[
        "[hekad]\nshards = 1\nBase_Dir = 'a'\n",
        "[hekad]\nbase_dir = 'b'\n",
    ])
    .expect("it is fine");
    let keys: Vec<_> = document
        .hekad
        .iter()
        .map(|entry| (entry.key.as_str(), entry.item.file))
        .collect();
    assert_eq!(keys, [("shards", 0), ("base_dir", 1)]);
}

#[test]
fn every_broken_line_is_reported() {
    let problems = parse(&["[a]\nx = \ny = 1\nz = 'open\n", "loose = 1\n[[list]]\n"]).unwrap_err();
    let lines: Vec<_> = problems
        .render(false)
        .lines()
        .filter(|line| line.contains("-->"))
        .map(str::to_owned)
        .collect();
    assert_eq!(problems.errors(), 4, "{}", problems.render(false));
    assert!(
        lines[0].ends_with("0.toml:2:5") && lines[1].contains("0.toml:4:"),
        "{lines:?}"
    );
}

#[test]
fn a_folder_is_its_toml_files_by_name() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a file for the test")
    };
    write("b.toml", "[second]\n");
    write("a.toml", "[first]\n");
    write("c.conf", "not read");
    std::fs::create_dir(folder.path().join("d.toml")).expect("a folder for the test");
    let document = Document::load(folder.path(), &surroundings()).expect("it is fine");
    let names: Vec<_> = document
        .sections
        .iter()
        .map(|section| section.name.as_str())
        .collect();
    assert_eq!(names, ["first", "second"]);
}

#[test]
fn what_cannot_be_read_is_said() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let problem = |path: &Path| {
        Document::load(path, &surroundings())
            .unwrap_err()
            .render(false)
    };
    assert!(problem(folder.path()).contains("no file whose name ends in .toml"));
    assert!(problem(&folder.path().join("none")).starts_with("error: cannot read `"));
    let bytes = folder.path().join("x.toml");
    std::fs::write(&bytes, b"[a]\nb = '\xff'\n").expect("a file for the test");
    assert!(problem(&bytes).contains("line 2 is not valid UTF-8"));
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            prop::sample::select(vec![
                "[",
                "]",
                "=",
                "\"",
                "'",
                "\"\"\"",
                "'''",
                "\\",
                "\\/",
                "\\u00e9",
                "\n",
                "\r\n",
                "#",
                "{",
                "}",
                ",",
                ".",
                "%ENV[",
                "%ENV[PORT]",
                "a|b",
                "key",
                "1",
                "true",
                " ",
                "\t",
                "\u{e9}",
                "1e400",
                "9999999999999999999999",
                "1979-05-27",
                "[a]\n",
                "x = ",
                "\u{0}",
            ])
            .prop_map(str::to_owned),
            ".{0,3}",
        ]
    }

    fn places(document: &Document, item: &Item) {
        let place = document.place(item);
        let source = &document.sources[place.file].written;
        assert!(
            source.get(place.range.clone()).is_some(),
            "{place:?} in {source:?}"
        );
        match &item.value {
            Written::Text(text) => {
                for offset in 0..=text.len() {
                    let within = document.place_within(item, &(offset..offset + 1));
                    assert!(
                        within.range.start >= place.range.start
                            && within.range.end <= place.range.end
                    );
                }
            }
            Written::Array(items) => items.iter().for_each(|item| places(document, item)),
            Written::Table(entries) => entries
                .iter()
                .for_each(|entry| places(document, &entry.item)),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_every_place_lies_in_the_text(pieces in prop::collection::vec(piece(), 0..40)) {
            let text = pieces.concat();
            match parse(&[&text]) {
                Ok(document) => {
                    let entries = document.sections.iter().flat_map(|section| &section.entries);
                    entries.chain(&document.hekad).for_each(|entry| places(&document, &entry.item));
                }
                Err(problems) => prop_assert!(problems.render(true).contains("error")),
            }
        }
    }
}
