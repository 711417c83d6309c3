//! A cross-encoder with random weights, compared with ONNX Runtime in Python
//! (`models/export/tiny_reranker.py`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{fixture, fixtures, service};
use serde::Deserialize;
use vigil_models::ModelError;

#[derive(Deserialize)]
struct Scores {
    question: String,
    texts: Vec<String>,
    scores: Vec<f32>,
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "[[model]]\nname = \"tiny-reranker\"\nversion = \"1\"\ntask = \"reranker\"\n\
                    family = \"cross-encoder\"\nlicence = \"Apache-2.0\"\nmax_tokens = 48\n\
                    [[model.file]]\nname = \"model.onnx\"\n[[model.file]]\nname = \"tokenizer.json\"\n";
    std::fs::create_dir(folder.path().join("tiny-reranker")).unwrap();
    for file in ["model.onnx", "tokenizer.json"] {
        let from = fixtures().join("tiny-reranker").join(file);
        std::fs::copy(from, folder.path().join("tiny-reranker").join(file)).unwrap();
    }
    std::fs::write(folder.path().join("manifest.toml"), manifest).unwrap();
    folder
}

#[test]
fn scores_are_those_of_the_reference() {
    let folder = folder();
    let service = service(folder.path(), 1);
    let reranker = service.reranker("tiny-reranker").unwrap();
    let Scores { question, texts, scores } = fixture("tiny-reranker/scores.json");
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let found = reranker.rerank(&question, &texts).unwrap();
    assert_eq!(found.len(), scores.len());
    for ((found, expected), text) in found.iter().zip(&scores).zip(&texts) {
        assert!((found - expected).abs() < 1e-4, "{text}: {found} {expected}");
    }
    assert!(reranker.rerank(&question, &[]).unwrap().is_empty());
}

#[test]
fn other_models_are_no_rerankers() {
    let folder = folder();
    let service = service(folder.path(), 1);
    assert!(matches!(service.embedder("tiny-reranker"), Err(ModelError::WrongTask { .. })));
    assert!(matches!(service.reranker("nothing"), Err(ModelError::UnknownModel { .. })));
}
