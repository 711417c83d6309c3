//! Who may know whom: `models ← udfs ← sql ← vigil`, one version of what crates exchange, and one
//! place for each foreign engine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use vigil_test_data::top_level;

use super::{assert_none, rust_files};

/// The crates from left to right; each may know only those to its left.
const CRATES: [&str; 5] = ["vigil-test-data", "vigil-models", "vigil-udfs", "vigil-sql", "vigil"];

/// Crates whose types go from one of ours to another, or that may be in a process once.
const ONCE: [&str; 12] = [
    "arrow",
    "arrow-array",
    "arrow-schema",
    "datafusion",
    "datafusion-common",
    "object_store",
    "pgwire",
    "sqlparser",
    "timely",
    "differential-dataflow",
    "ort",
    "tokio",
];

/// A foreign crate as code spells it, and the places that may.
const FOREIGN: [(&str, &[&str]); 4] = [
    ("pgwire", &["sql/src/wire.rs", "sql/src/wire/"]),
    ("ort", &["models/src/backend/ort.rs", "models/src/backend/ort/"]),
    ("ffmpeg_next", &["src/decode/ffmpeg.rs", "src/decode/ffmpeg/"]),
    ("tokenizers", &["models/src/"]),
];

/// What a crate never has to do with, whatever it depends on.
const NEVER: [(&str, &[&str]); 3] = [
    ("models/", &["datafusion", "arrow", "timely", "differential_dataflow"]),
    ("udfs/", &["timely", "differential_dataflow", "tokio", "std::net", "std::fs"]),
    ("sql/", &["timely", "differential_dataflow", "vigil_models::InferenceService"]),
];

#[test]
fn crates_know_only_those_to_their_left() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(top_level())
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let names: BTreeSet<&str> =
        packages.iter().filter_map(|package| package["name"].as_str()).collect();
    assert_eq!(names, BTreeSet::from(CRATES));
    let place = |name: &str| CRATES.iter().position(|known| *known == name);
    let mut offences = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let dependency = dependency["name"].as_str().expect("a name");
            if place(dependency).is_some_and(|found| Some(found) >= place(name)) {
                offences.push(format!("{name} depends on {dependency}"));
            }
        }
        let foreign = |engine: &str| {
            let mut dependencies = package["dependencies"].as_array().into_iter().flatten();
            dependencies.any(|dependency| dependency["name"] == engine)
        };
        for (engine, owner) in
            [("ort", CRATES[1]), ("pgwire", CRATES[3]), ("ffmpeg-next", CRATES[4])]
        {
            if foreign(engine) && name != owner {
                offences.push(format!("{name} depends on {engine}, which is {owner}'s"));
            }
        }
    }
    assert_none("dependencies point to the left", &offences);
}

#[test]
fn crates_that_exchange_types_are_there_once() {
    let lock = fs::read_to_string(top_level().join("Cargo.lock")).expect("Cargo.lock");
    let lock: toml::Table = lock.parse().expect("TOML");
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock["package"].as_array().expect("packages") {
        let text = |key: &str| package.get(key).and_then(toml::Value::as_str).expect("a text");
        versions.entry(text("name")).or_default().push(text("version"));
    }
    let offences: Vec<String> = ONCE
        .iter()
        .filter(|name| versions.get(*name).is_none_or(|versions| versions.len() != 1))
        .map(|name| format!("{name}: {:?}", versions.get(name)))
        .collect();
    assert_none("these crates are in Cargo.lock once", &offences);
}

#[test]
fn one_place_names_each_foreign_engine() {
    let mut offences = Vec::new();
    for file in rust_files() {
        let code = file.code();
        for (engine, places) in FOREIGN {
            if !places.iter().any(|place| file.path.starts_with(place)) {
                offences.extend(file.offences(&code, |line| names_crate(line, engine)));
            }
        }
        for (folder, strangers) in NEVER {
            if file.path.starts_with(folder) && !file.is_test() {
                let code = file.code_without_tests();
                offences.extend(file.offences(&code, |line| {
                    strangers.iter().any(|stranger| names_crate(line, stranger))
                }));
            }
        }
    }
    assert_none("these are named elsewhere", &offences);
}

/// True when the line has a path that begins with `name`, such as `ort::Session` or `use ort;`.
fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let behind = &line[start + name.len()..];
        let begins = !before.is_some_and(|c| c.is_alphanumeric() || "_:.\"".contains(c));
        let used = line.trim_start().starts_with("use ") || line.contains("pub use ");
        begins && (behind.starts_with("::") || (used && behind.starts_with([';', ' ', ','])))
    })
}

#[test]
fn a_crate_is_recognised_in_code() {
    assert!(names_crate("use ort::Session;", "ort"));
    assert!(names_crate("let s: ort::Session = x;", "ort"));
    assert!(names_crate("use ort;", "ort"));
    assert!(!names_crate("backend::ort::open(x)", "ort"));
    assert!(!names_crate("port::open(x)", "ort"));
    assert!(!names_crate("mod ort;", "ort"));
}
