//! The ONNX Runtime library: a wrong one is an error, and one that comes later is found.
//!
//! In a program of its own, because a process loads the library once.

use std::path::Path;

use vigil_models::ModelError;
use vigil_models::backend::{Session, SessionOptions};

const VARIABLE: &str = "ORT_DYLIB_PATH";

fn open(graph: &Path) -> ModelError {
    Session::open("test", graph, SessionOptions { intra_threads: 1, ..SessionOptions::default() })
        .err()
        .expect("no model")
}

/// Sets or removes the variable that names the library.
fn name_library(path: Option<&std::ffi::OsStr>) {
    // SAFETY: this program has one test and, when this is called, no other thread that reads or
    // writes the environment.
    unsafe {
        match path {
            Some(path) => std::env::set_var(VARIABLE, path),
            None => std::env::remove_var(VARIABLE),
        }
    }
}

#[test]
fn a_library_that_cannot_be_loaded_is_an_error_and_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let graph = folder.path().join("model.onnx");
    std::fs::write(&graph, "not a model").unwrap();
    let given = std::env::var_os(VARIABLE);

    let text = folder.path().join("libonnxruntime.so");
    std::fs::write(&text, "not a library").unwrap();
    for library in [folder.path().join("missing.so"), text] {
        name_library(Some(library.as_os_str()));
        let error = open(&graph);
        assert!(matches!(error, ModelError::Runtime { .. }), "{error:?}");
        assert_eq!(error.sqlstate(), "58000");
        assert!(error.detail().is_some_and(|detail| !detail.contains('\n')), "{error:?}");
        assert!(error.hint().is_some_and(|hint| hint.contains(VARIABLE)), "{error:?}");
    }

    name_library(given.as_deref());
    let error = open(&graph);
    assert!(matches!(error, ModelError::BadFile { .. }), "the library is there now: {error:?}");
}
