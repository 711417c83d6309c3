//! What a file looks like, and what the top level holds.

use std::collections::BTreeSet;
use std::fs;

use vigil_test_data::top_level;

use super::{assert_none, rust_files};

/// Past this a file has two subjects.
const MAX_LINES: usize = 800;

/// What the top level may hold: the folders and files of the design, and what tools want there.
const TOP_LEVEL: [&str; 23] = [
    ".ci",
    ".config",
    ".git",
    ".gitattributes",
    ".github",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "benches",
    "clippy.toml",
    "examples",
    "fuzz",
    "models",
    "rustfmt.toml",
    "sql",
    "src",
    "tests",
    "udfs",
];

#[test]
fn every_module_says_what_it_is() {
    let offences: Vec<String> = rust_files()
        .into_iter()
        .filter(|file| !file.text.starts_with("//! ") && !file.text.starts_with("#!["))
        .map(|file| file.path)
        .collect();
    assert_none("every file opens with //!", &offences);
}

#[test]
fn no_file_has_two_subjects() {
    let offences: Vec<String> = rust_files()
        .into_iter()
        .map(|file| (file.text.lines().count(), file.path))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    assert_none("no file is longer than 800 lines", &offences);
}

#[test]
fn the_top_level_is_fixed() {
    let ignored = fs::read_to_string(top_level().join(".gitignore")).unwrap_or_default();
    let ignored: BTreeSet<&str> =
        ignored.lines().map(|line| line.trim().trim_matches('/')).collect();
    let entries = fs::read_dir(top_level()).expect("the top level");
    let mut offences: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| !ignored.contains(name.as_str()))
        .filter(|name| !TOP_LEVEL.contains(&name.as_str()))
        .collect();
    offences.sort();
    assert_none("the top level has what the design says and no more", &offences);
}
