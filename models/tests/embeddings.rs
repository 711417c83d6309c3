//! Sentence embedders, compared with transformers: all-MiniLM-L6-v2 on captions
//! (`models/export/reference_sentences.py`), and small random models with every kind of tokenizer
//! (`models/export/tiny_embedders.py`).
//!
//! Captions and the int8 graph are in the folder that `VIGIL_SHARED` names, else in `shared` beside
//! the repository; without them the tests that need them say so and pass.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::path::{Path, PathBuf};

use common::{cosine, fixture, fixtures, service, shared};
use serde::Deserialize;
use vigil_models::{EmbedOptions, ModelError, OpenOptions};

/// The captions of the reference: every 200th line of the file.
fn captions(shared: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(shared.join("data/captions/flickr8k-captions.txt")).unwrap();
    let lines = text.lines().step_by(200).take(200);
    lines.map(|line| line.split_once('\t').unwrap().1.to_owned()).collect()
}

/// The least cosine of a model's vectors with the reference's.
fn least_cosine(shared: &Path, models: &Path, model: &str) -> f64 {
    let captions = captions(shared);
    let texts: Vec<&str> = captions.iter().map(String::as_str).collect();
    let bytes = std::fs::read(fixtures().join("sentences.f32")).unwrap();
    let (floats, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty());
    let floats: Vec<f32> = floats.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let service = service(models, 1);
    let found = service.embedder(model).unwrap().embed(&texts).unwrap();
    assert_eq!((found.len(), floats.len()), (200, 200 * 384));
    let pairs = found.iter().zip(floats.chunks_exact(384));
    pairs.map(|(vector, reference)| cosine(vector, reference)).fold(1.0, f64::min)
}

#[test]
fn the_int8_graph_agrees_with_the_float32_weights() {
    let Some(shared) = shared() else { return };
    let least = least_cosine(&shared, &shared.join("models"), "all-minilm-l6-v2-int8");
    assert!(least >= 0.999, "{least}");
}

/// The float32 graph is made on the user's machine, so it is looked for where `vigil models pull`
/// puts it.
#[test]
fn the_float32_graph_is_the_reference() {
    let Some(shared) = shared() else { return };
    let beside = vigil_test_data::top_level().join(".vigil/models");
    let models = std::env::var_os("VIGIL_MODELS").map_or(beside, PathBuf::from);
    if !models.join("all-minilm-l6-v2/model.onnx").is_file() {
        eprintln!("skipped: no all-minilm-l6-v2 in {} (vigil models pull it)", models.display());
        return;
    }
    let least = least_cosine(&shared, &models, "all-minilm-l6-v2");
    assert!(least >= 0.9999, "{least}");
}

#[derive(Deserialize)]
struct Text {
    text: String,
    tokens: usize,
    vector: Vec<f32>,
}

/// A models folder with a tiny embedder of a fixture's files, which takes 24 tokens. It has a
/// float16 graph, too.
fn tiny(name: &str, family: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let manifest = format!(
        "[[model]]\nname = \"{name}\"\nversion = \"1\"\ntask = \"embedder\"\n\
         family = \"{family}\"\nlicence = \"Apache-2.0\"\nmax_tokens = 24\n\
         [[model.file]]\nname = \"model.onnx\"\n[[model.file]]\nname = \"tokenizer.json\"\n\
         [[model.file]]\nname = \"model_fp16.onnx\"\nprecision = \"float16\"\n"
    );
    std::fs::create_dir(folder.path().join(name)).unwrap();
    for file in ["model.onnx", "model_fp16.onnx", "tokenizer.json"] {
        let from = fixtures().join(name).join(file);
        std::fs::copy(from, folder.path().join(name).join(file)).unwrap();
    }
    std::fs::write(folder.path().join("manifest.toml"), manifest).unwrap();
    folder
}

const TINY: [(&str, &str); 3] =
    [("tiny-mpnet", "mpnet"), ("tiny-multilingual", "minilm"), ("tiny-bpe", "minilm")];

#[test]
fn every_kind_of_tokenizer_gives_transformers_vectors() {
    for (name, family) in TINY {
        let folder = tiny(name, family);
        let service = service(folder.path(), 1);
        let embedder = service.embedder(name).unwrap();
        let rows: Vec<Text> = fixture(&format!("{name}/vectors.json"));
        assert!(rows.iter().any(|row| row.tokens == 24) && rows.iter().any(|row| row.tokens == 2));
        let texts: Vec<&str> = rows.iter().map(|row| &*row.text).collect();
        let plain = embedder.embed_with(&texts, EmbedOptions { normalize: false }).unwrap();
        let unit = embedder.embed(&texts).unwrap();
        for ((row, plain), unit) in rows.iter().zip(&plain).zip(&unit) {
            for (found, expected) in plain.iter().zip(&row.vector) {
                assert!((found - expected).abs() < 2e-5, "{name}: {:?}", row.text);
            }
            assert_eq!(plain.len(), row.vector.len());
            assert!((cosine(unit, unit).sqrt() - 1.0).abs() < 1e-6);
            assert!(cosine(unit, plain) > 0.999_999);
        }
    }
}

#[test]
fn float16_graphs_give_nearly_the_same_vectors() {
    let half = OpenOptions { half_precision: true, ..OpenOptions::default() };
    for (name, family) in TINY {
        let folder = tiny(name, family);
        let service = service(folder.path(), 1);
        let rows: Vec<Text> = fixture(&format!("{name}/vectors.json"));
        let texts: Vec<&str> = rows.iter().map(|row| &*row.text).collect();
        let found = service.embedder_on(name, half).unwrap().embed(&texts).unwrap();
        let full = service.embedder(name).unwrap().embed(&texts).unwrap();
        assert_ne!(found, full, "{name}: another graph was taken");
        for (row, vector) in rows.iter().zip(&found) {
            let likeness = cosine(vector, &row.vector);
            assert!(likeness >= 0.999, "{name}: {likeness} for {:?}", row.text);
        }
    }
}

#[test]
fn texts_of_any_length_and_script_are_taken() {
    let Some(shared) = shared() else { return };
    let models = [(shared.join("models"), "all-minilm-l6-v2-int8")];
    let tiny: Vec<_> = TINY.iter().map(|&(name, family)| (tiny(name, family), name)).collect();
    let tiny = tiny.iter().map(|(folder, name)| (folder.path().to_owned(), *name));
    let long = "a dog runs across the grass ".repeat(3572);
    assert!(long.len() >= 100_000);
    let one_word = "x".repeat(100_000);
    let texts = [
        "",
        " ",
        &long,
        &one_word,
        "\u{0}\u{1}\u{7f}",
        "👩‍👩‍👧‍👦🏳️‍🌈",
        "שלום עולם مرحبا بالعالم",
        "สวัสดีชาวโลก こんにちは世界 안녕하세요",
        "नमस्ते दुनिया \u{10ffff}\u{feff}\u{202e}",
    ];
    for (models, name) in models.into_iter().chain(tiny) {
        let service = service(&models, 1);
        let embedder = service.embedder(name).unwrap();
        let vectors = embedder.embed(&texts).unwrap();
        assert_eq!(vectors.len(), texts.len());
        for vector in &vectors {
            assert!((cosine(vector, vector).sqrt() - 1.0).abs() < 1e-6, "{name}");
        }
        assert_eq!(vectors[0], vectors[1], "{name}: spaces are no words");
    }
}

#[test]
fn damaged_files_and_vectors_that_are_no_numbers_are_refused() {
    let open =
        |folder: &Path| service(folder, 1).embedder("tiny-bpe").err().expect("it is refused");
    for file in ["model.onnx", "tokenizer.json"] {
        let folder = tiny("tiny-bpe", "minilm");
        let path = folder.path().join("tiny-bpe").join(file);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let error = open(folder.path());
        assert!(matches!(error, ModelError::BadFile { .. }), "{file}: {error:?}");
    }
    let folder = tiny("tiny-bpe", "minilm");
    let path = folder.path().join("tiny-bpe/model.onnx");
    std::fs::copy(fixtures().join("tiny-blip/vision_encoder.onnx"), &path).unwrap();
    let error = open(folder.path());
    assert!(matches!(error, ModelError::WrongTensors { .. }), "{error:?}");

    // The same graph with a number in it that is NaN: an error, never a vector.
    let mut bytes = std::fs::read(fixtures().join("tiny-bpe/model.onnx")).unwrap();
    let epsilon = 1e-12_f32.to_le_bytes();
    let at = bytes.windows(4).position(|window| window == epsilon).expect("a layer norm's epsilon");
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let service = service(folder.path(), 1);
    let embedder = service.embedder("tiny-bpe").unwrap();
    let error = embedder.embed(&["two people"]).unwrap_err();
    assert!(matches!(error, ModelError::Run { .. }), "{error:?}");
    assert!(error.detail().is_some_and(|detail| detail.contains("NaN")), "{error:?}");
}
