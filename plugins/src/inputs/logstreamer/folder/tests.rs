//! What a scan finds in real folders, and what it says of the rest.
//!
//! Owns:    the folders of each test.
//! Runs on: tests.            Plane: data.
//! Bounds:  a hundred entries.
//! Never:   depends on the order in which a folder is listed.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;

use regex_automata::meta::Regex;

use super::super::order::{Part, Priority, Ranking};
use super::*;

fn search(root: &Path, pattern: &str) -> Search {
    let pattern = Regex::new(&format!("^(?:{pattern})$")).unwrap();
    Search {
        root: root.canonicalize().unwrap(),
        sorting: Arc::new(Sorting {
            pattern,
            priority: vec![Priority {
                group: 0,
                ranking: Ranking::of("", None),
                descending: false,
            }],
            differentiator: vec![Part::Literal("s".to_owned())],
        }),
        oldest: None,
    }
}

fn names(found: &Found, root: &Path) -> Vec<String> {
    let root = root.canonicalize().unwrap();
    let files = found.arranged.streams.values().flatten();
    let mut names: Vec<String> = files
        .map(|file| {
            let path = Path::new(&file.path).strip_prefix(&root).unwrap();
            path.to_str().unwrap().to_owned()
        })
        .collect();
    names.sort();
    names
}

fn one(problems: &[String], text: &str) {
    let found = problems.iter().filter(|problem| problem.contains(text));
    assert_eq!(found.count(), 1, "{text} in {problems:?}");
}

#[test]
fn files_are_found_below_and_through_links_and_loops_end() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("a/b")).unwrap();
    for name in ["top.log", "a/b/deep.log", "a/other.txt"] {
        fs::write(root.join(name), name).unwrap();
    }
    symlink("../..", root.join("a/b/up")).unwrap();
    symlink(root.join("a/b/deep.log"), root.join("link.log")).unwrap();
    symlink("round.log", root.join("square.log")).unwrap();
    symlink("square.log", root.join("round.log")).unwrap();
    symlink("nothing", root.join("dangling.log")).unwrap();
    symlink("a", root.join("folder.log")).unwrap();
    let found = scan(&search(root, r".*\.log")).unwrap();
    assert_eq!(names(&found, root), ["a/b/deep.log", "top.log"]);
    assert_eq!(found.files, 3);
    let problems = &found.arranged.problems;
    one(
        problems,
        "dangling.log: not read: it is a symbolic link to what is not there",
    );
    one(problems, "folder.log: not read: it is a link to a folder");
    one(problems, "round.log: not read: Too many levels");
    one(problems, "square.log: not read: Too many levels");
    assert_eq!(problems.len(), 4);
}

#[test]
fn a_root_that_is_a_link_is_looked_into() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("real")).unwrap();
    fs::write(folder.path().join("real/a.log"), "").unwrap();
    let link = folder.path().join("link");
    symlink("real", &link).unwrap();
    let found = scan(&search(&link, r"a\.log")).unwrap();
    assert_eq!(names(&found, &link), ["a.log"]);
}

#[test]
fn what_is_no_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    nix::unistd::mkfifo(&root.join("pipe.log"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir(root.join("folder.log")).unwrap();
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"\xff.log")), "").unwrap();
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"\xff.txt")), "").unwrap();
    let found = scan(&search(root, r".*\.log")).unwrap();
    assert_eq!(found.files, 0);
    one(
        &found.arranged.problems,
        "pipe.log: not read: it is neither a file nor a folder",
    );
    one(&found.arranged.problems, "no UTF-8");
    assert_eq!(found.arranged.problems.len(), 2);
}

#[test]
fn a_folder_that_cannot_be_listed_hides_only_what_is_below() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("closed")).unwrap();
    fs::write(root.join("closed/a.log"), "").unwrap();
    fs::write(root.join("b.log"), "").unwrap();
    fs::set_permissions(root.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    let found = scan(&search(root, r".*\.log")).unwrap();
    // Root may list it all the same.
    if fs::read_dir(root.join("closed")).is_err() {
        assert_eq!(names(&found, root), ["b.log"]);
        one(
            &found.arranged.problems,
            "closed: cannot be listed: Permission denied",
        );
    }
    fs::set_permissions(root.join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(scan(&search(&root.join("closed"), "x")).is_ok());
    let gone = search(&root.join("closed"), "x");
    fs::remove_dir_all(root.join("closed")).unwrap();
    assert_eq!(scan(&gone).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn folders_have_a_deepest() {
    let folder = tempfile::tempdir().unwrap();
    let mut path = folder.path().to_owned();
    for _ in 0..DEPTH_MAX + 3 {
        path.push("d");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("x.log"), "").unwrap();
    }
    let found = scan(&search(folder.path(), r".*\.log")).unwrap();
    assert_eq!(found.files, DEPTH_MAX - 1);
    one(&found.arranged.problems, "deep are not looked into");
}

#[test]
fn old_files_are_marked() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.log"), "").unwrap();
    let mut search = search(folder.path(), r"a\.log");
    let old = |search: &Search| scan(search).unwrap().arranged.streams["s"][0].old;
    search.oldest = Some(0);
    assert!(!old(&search));
    search.oldest = Some(i64::MAX);
    assert!(old(&search));
}
