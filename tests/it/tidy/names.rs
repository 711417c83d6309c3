//! What is spelled nowhere, and what has a name everywhere.

use std::collections::BTreeSet;

use super::{SourceFile, assert_none, rust_files};

/// Differential operators that take no name; `arrange_by_key_named` and its like do.
const NAMELESS: [&str; 12] = [
    ".arrange_by_key()",
    ".arrange_by_self()",
    ".consolidate()",
    ".count()",
    ".count_total()",
    ".distinct()",
    ".distinct_total()",
    ".threshold(",
    ".threshold_total(",
    ".reduce(",
    ".reduce_abelian::<_, _, _, _>(\"\"",
    ".iterate(",
];

/// Threads without a name and queues without a bound.
const UNBOUNDED: [(&str, &str); 6] = [
    ("thread::spawn(", "name the thread: std::thread::Builder"),
    ("mpsc::channel()", "bound the queue: mpsc::sync_channel"),
    ("mpsc::channel::<", "bound the queue: mpsc::sync_channel"),
    ("unbounded()", "bound the queue"),
    ("unbounded::<", "bound the queue"),
    ("unbounded_channel", "bound the queue"),
];

/// What is left behind while one works.
const UNFINISHED: [&str; 5] = ["todo!(", "unimplemented!(", "dbg!(", "#[ignore", "XXX"];

/// The lines of a file that hold one of `spellings`.
fn lines_with(
    file: &SourceFile,
    code: &[(usize, String)],
    spellings: &[&str],
    offences: &mut Vec<String>,
) {
    let offends = |line: &str| spellings.iter().any(|spelling| line.contains(spelling));
    offences.extend(file.offences(code, offends));
}

#[test]
fn every_operator_has_a_name() {
    let mut offences = Vec::new();
    let mut with_operators = 0;
    for file in rust_files() {
        let code = file.code_without_tests();
        // An iterator counts and reduces too; only these files have collections.
        let collections = code.iter().any(|(_, line)| line.contains("differential_dataflow"));
        if file.is_test() || !collections {
            continue;
        }
        with_operators += 1;
        lines_with(&file, &code, &NAMELESS, &mut offences);
    }
    assert!(with_operators > 0, "no file uses differential-dataflow");
    assert_none("every operator has a name", &offences);
}

#[test]
fn every_thread_has_a_name_and_every_queue_a_bound() {
    let mut offences = Vec::new();
    for file in rust_files().into_iter().filter(|file| !file.is_test()) {
        let code = file.code_without_tests();
        for (spelling, instead) in UNBOUNDED {
            let found = file.offences(&code, |line| line.contains(spelling));
            offences.extend(found.map(|offence| format!("{offence} ({instead})")));
        }
    }
    assert_none("threads have names and queues have bounds", &offences);
}

#[test]
fn nothing_is_unfinished() {
    let mut offences = Vec::new();
    for file in rust_files() {
        let code = file.code();
        lines_with(&file, &code, &UNFINISHED, &mut offences);
    }
    assert_none("nothing is unfinished and no test is left out", &offences);
}

#[test]
fn tests_wait_for_what_they_need() {
    let mut offences = Vec::new();
    for file in rust_files().into_iter().filter(SourceFile::is_test) {
        let code = file.code();
        lines_with(&file, &code, &["thread::sleep("], &mut offences);
    }
    assert_none("no test sleeps until it works", &offences);
}

#[test]
fn function_names_are_unique() {
    let mut names = BTreeSet::new();
    let of_udfs = vigil_udfs::all().into_iter().map(|function| function.doc);
    let twice: Vec<String> = of_udfs
        .chain(vigil_sql::function_docs())
        .map(|doc| doc.name)
        .filter(|name| !names.insert(*name))
        .map(str::to_owned)
        .collect();
    assert_none("a function has a name of its own", &twice);
}
