//! The house rules that a compiler does not hold: who may know whom, what a file looks like, and
//! what is spelled nowhere. ARCHITECTURE.md says why.

mod code;
mod crates;
mod files;
mod names;

use std::fs;
use std::path::Path;

/// A Rust file of the project.
struct SourceFile {
    /// Its path from the top level, with forward slashes.
    path: String,
    text: String,
}

/// The folders that hold Rust.
const RUST_FOLDERS: [&str; 7] = ["src", "sql", "udfs", "models", "benches", "tests", "examples"];

/// Every Rust file, by path.
fn rust_files() -> Vec<SourceFile> {
    let mut files = Vec::new();
    for folder in RUST_FOLDERS {
        collect(&vigil_test_data::top_level().join(folder), &mut files);
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    assert!(files.len() > 50, "only {} Rust files were found", files.len());
    files
}

fn collect(folder: &Path, files: &mut Vec<SourceFile>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a folder's entry").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a Rust file is UTF-8");
            let path =
                path.strip_prefix(vigil_test_data::top_level()).expect("below the top level");
            let path = path.to_string_lossy().replace('\\', "/");
            files.push(SourceFile { path, text });
        }
    }
}

/// Fails with every offence, so that one run shows all of them.
fn assert_none(rule: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}
