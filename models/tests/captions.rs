//! Captions of small random models, token for token those of transformers' `generate`.
//!
//! `models/export/tiny_blip.py` and `tiny_blip2.py` make the models and their captions. The photos
//! are in the folder that `VIGIL_SHARED` names, else in `shared` beside the repository; without
//! them the tests that need them say so and pass.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use common::{fixture, fixtures, photo, shared};
use serde::Deserialize;
use vigil_models::backend::SessionOptions;
use vigil_models::{
    CaptionOptions, Captioner, EarlyStopping, Image, ModelError, Registry, Sampling, open_captioner,
};

/// A models folder in which `name` is a model of a family that has the files of a fixture.
fn folder(name: &str, family: &str, fixture: &str, files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut manifest = format!(
        "[[model]]\nname = \"{name}\"\nversion = \"1\"\ntask = \"captioner\"\n\
         family = \"{family}\"\nlicence = \"Apache-2.0\"\n"
    );
    std::fs::create_dir(folder.path().join(name)).unwrap();
    for file in files {
        manifest += &format!("[[model.file]]\nname = \"{file}\"\n");
        let from = fixtures().join(fixture).join(file);
        std::fs::copy(from, folder.path().join(name).join(file)).unwrap();
    }
    std::fs::write(folder.path().join("manifest.toml"), manifest).unwrap();
    folder
}

fn open(models: &Path, name: &str) -> Result<Box<dyn Captioner>, ModelError> {
    let registry = Registry::open(models).unwrap();
    let entry = registry.entry(name).unwrap();
    open_captioner(
        &registry,
        entry,
        SessionOptions { intra_threads: 1, ..SessionOptions::default() },
    )
}

const WITH_PAST: &[&str] = &[
    "vision_encoder.onnx",
    "cross_attention.onnx",
    "text_decoder_with_past.onnx",
    "vocab.txt",
    "generation_config.json",
];
const WHOLE: &[&str] =
    &["vision_encoder.onnx", "text_decoder.onnx", "vocab.txt", "generation_config.json"];
const BLIP2: &[&str] = &[
    "vision_encoder.onnx",
    "qformer.onnx",
    "language_projection.onnx",
    "embed_tokens.onnx",
    "text_decoder_with_past.onnx",
    "tokenizer.json",
    "generation_config.json",
];

fn tiny_blip(files: &[&str]) -> Box<dyn Captioner> {
    open(folder("tiny", "blip", "tiny-blip", files).path(), "tiny").unwrap()
}

fn tiny_blip2() -> Box<dyn Captioner> {
    open(folder("tiny", "blip2", "tiny-blip2", BLIP2).path(), "tiny").unwrap()
}

/// A caption of the reference.
#[derive(Deserialize)]
struct Row {
    image: String,
    beams: usize,
    tokens: Vec<i64>,
    /// The words, where the reference gives them.
    text: Option<String>,
}

/// Compares a captioner with the reference's rows, one picture or four at a time.
fn compare(shared: &Path, captioner: &mut dyn Captioner, reference: &str) {
    let rows: Vec<Row> = fixture(reference);
    let mut differ = Vec::new();
    for beams in [1, 5] {
        let options = CaptionOptions { num_beams: beams, ..CaptionOptions::default() };
        let rows: Vec<&Row> = rows.iter().filter(|row| row.beams == beams).collect();
        let lengths: BTreeSet<usize> = rows.iter().map(|row| row.tokens.len()).collect();
        assert!(rows.len() >= 20 && lengths.len() >= 4, "{}: {lengths:?}", rows.len());
        let photos: Vec<Arc<Image>> =
            rows.iter().map(|row| photo(&shared.join("data").join(&row.image))).collect();
        // A few alone, all in batches.
        for (size, count) in [(1, 4), (4, rows.len())] {
            for (rows, photos) in rows[..count].chunks(size).zip(photos.chunks(size)) {
                let images: Vec<&Image> = photos.iter().map(|photo| &**photo).collect();
                let captions = captioner.caption(&images, &options).unwrap();
                assert_eq!(captions.len(), rows.len());
                for (caption, row) in captions.iter().zip(rows) {
                    let equal = caption.tokens == row.tokens
                        && row.text.as_ref().is_none_or(|text| caption.text == *text);
                    if !equal || caption.text.is_empty() {
                        let Row { image, tokens, text, .. } = row;
                        differ.push(format!(
                            "{image}, {beams} beams, {size} at once: {caption:?}, expected {tokens:?} {text:?}"
                        ));
                    }
                }
            }
        }
    }
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
}

#[test]
fn blip_with_past_says_what_transformers_says() {
    let Some(shared) = shared() else { return };
    compare(&shared, &mut *tiny_blip(WITH_PAST), "tiny-blip/captions.json");
}

#[test]
fn blip_without_past_says_what_transformers_says() {
    let Some(shared) = shared() else { return };
    compare(&shared, &mut *tiny_blip(WHOLE), "tiny-blip/captions.json");
}

#[test]
fn blip2_says_what_transformers_says() {
    let Some(shared) = shared() else { return };
    compare(&shared, &mut *tiny_blip2(), "tiny-blip2/captions.json");
}

const GRAPHS: [&str; 3] = ["vision_encoder", "cross_attention", "text_decoder_with_past"];

/// A models folder in which the tiny BLIP `tiny` has the graphs of a precision, each in a file whose
/// name ends with `ending`, beside its float32 ones or in their place.
fn in_precision(precision: &str, ending: &str) -> tempfile::TempDir {
    let folder = folder("tiny", "blip", "tiny-blip", WITH_PAST);
    let manifest = folder.path().join("manifest.toml");
    let mut text = std::fs::read_to_string(&manifest).unwrap();
    for graph in GRAPHS {
        let from = fixtures().join(format!("tiny-blip-{precision}/{graph}.onnx"));
        let file = format!("{graph}{ending}.onnx");
        std::fs::copy(from, folder.path().join("tiny").join(&file)).unwrap();
        if !ending.is_empty() {
            text += &format!("[[model.file]]\nname = \"{file}\"\nprecision = \"{precision}\"\n");
        }
    }
    std::fs::write(manifest, text).unwrap();
    folder
}

/// How many of transformers' greedy captions a captioner says token for token, of how many.
fn agreement(shared: &Path, captioner: &mut dyn Captioner) -> (usize, usize) {
    let rows: Vec<Row> = fixture("tiny-blip/captions.json");
    let (mut same, mut all) = (0, 0);
    for row in rows.iter().filter(|row| row.beams == 1) {
        let photo = photo(&shared.join("data").join(&row.image));
        let options = CaptionOptions { num_beams: 1, ..CaptionOptions::default() };
        // In few bits a sentence may end before it begins, which is an error.
        let said = captioner.caption(&[&photo], &options);
        same += usize::from(said.is_ok_and(|said| said[0].tokens == row.tokens));
        all += 1;
    }
    eprintln!("{same} of {all} captions are the same");
    (same, all)
}

#[test]
fn blip_in_float16_and_int8_says_nearly_what_transformers_says() {
    let Some(shared) = shared() else { return };
    let options = SessionOptions { intra_threads: 1, ..SessionOptions::default() };
    let half = SessionOptions { half_precision: true, ..options };
    let opened = |folder: &Path, options| {
        let registry = Registry::open(folder).unwrap();
        open_captioner(&registry, registry.entry("tiny").unwrap(), options)
    };
    let folder = in_precision("float16", "_fp16");
    let (same, all) = agreement(&shared, &mut *opened(folder.path(), half).unwrap());
    assert_eq!((same, all >= 20), (all, true));
    // Where it is not asked for, the float32 graphs beside it are taken.
    let (same, all) = agreement(&shared, &mut *opened(folder.path(), options).unwrap());
    assert_eq!(same, all);
    // The int8 graphs have the names of the float32 ones; there are none in float16.
    let folder = in_precision("int8", "");
    let (same, all) = agreement(&shared, &mut *opened(folder.path(), options).unwrap());
    assert!(same * 10 >= all * 6, "{same} of {all}");
    let error = opened(folder.path(), half).err().unwrap();
    assert_eq!(error.to_string(), "model \"tiny\" cannot take half_precision = true");
    assert!(error.detail().unwrap().contains("vision_encoder.onnx"), "{error:?}");
}

/// transformers' `generate` with other options than the defaults.
#[derive(Deserialize)]
struct Variant {
    num_beams: usize,
    length_penalty: f32,
    early_stopping: bool,
    repetition_penalty: f32,
    max_length: usize,
    captions: Vec<(String, Vec<i64>)>,
}

#[test]
fn every_option_does_what_it_does_in_transformers() {
    let Some(shared) = shared() else { return };
    let mut captioner = tiny_blip(WITH_PAST);
    let variants: Vec<Variant> = fixture("tiny-blip/variants.json");
    assert!(variants.len() >= 5);
    let mut differ = Vec::new();
    for variant in variants {
        let options = CaptionOptions {
            num_beams: variant.num_beams,
            length_penalty: variant.length_penalty,
            early_stopping: match variant.early_stopping {
                true => EarlyStopping::AtOnce,
                false => EarlyStopping::WhenNoBetter,
            },
            repetition_penalty: variant.repetition_penalty,
            max_length: variant.max_length,
            sampling: None,
        };
        for (image, tokens) in &variant.captions {
            let photo = photo(&shared.join("data").join(image));
            let found = captioner.caption(&[&photo], &options).unwrap().remove(0);
            if found.tokens != *tokens {
                differ
                    .push(format!("{image} {options:?}: {:?}, expected {tokens:?}", found.tokens));
            }
        }
    }
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
}

fn grey(width: u32, height: u32) -> Image {
    Image::new(width, height, vec![128; width as usize * height as usize * 3]).unwrap()
}

#[test]
fn a_seed_gives_the_same_caption_alone_and_among_others() {
    let (one, other) = (grey(40, 30), grey(8, 90));
    let options = |seed| CaptionOptions {
        sampling: Some(Sampling { seed, temperature: 1.5, ..Sampling::default() }),
        ..CaptionOptions::default()
    };
    for mut captioner in [tiny_blip(WITH_PAST), tiny_blip(WHOLE), tiny_blip2()] {
        let mut differ = BTreeSet::new();
        for seed in 0..4 {
            let alone = captioner.caption(&[&one], &options(seed)).unwrap();
            let among = captioner.caption(&[&other, &one], &options(seed)).unwrap();
            assert_eq!(alone[0], among[1]);
            differ.insert(alone[0].tokens.clone());
        }
        assert!(differ.len() > 1, "seeds make a difference");
    }
}

#[test]
fn pictures_of_any_size_are_taken_and_none_at_all_is_fine() {
    let options = CaptionOptions { max_length: 8, ..CaptionOptions::default() };
    for mut captioner in [tiny_blip(WITH_PAST), tiny_blip2()] {
        assert!(captioner.caption(&[], &options).unwrap().is_empty());
        for (width, height) in [(1, 1), (8000, 6000), (5000, 1), (1, 700)] {
            let said = captioner.caption(&[&grey(width, height)], &options);
            assert_eq!(said.unwrap().len(), 1);
        }
        let nothing = CaptionOptions { num_beams: 0, ..CaptionOptions::default() };
        let error = captioner.caption(&[&grey(1, 1)], &nothing).unwrap_err();
        assert!(matches!(error, ModelError::BadOptions { .. }), "{error:?}");
    }
}

/// Opens a tiny BLIP in whose folder a file has other bytes.
fn opened_with(file: &str, bytes: &[u8]) -> ModelError {
    let folder = folder("tiny", "blip", "tiny-blip", WITH_PAST);
    std::fs::write(folder.path().join("tiny").join(file), bytes).unwrap();
    open(folder.path(), "tiny").err().expect("it is refused")
}

#[test]
fn files_that_are_damaged_or_of_another_kind_are_refused() {
    let fixture = |file: &str| std::fs::read(fixtures().join("tiny-blip").join(file)).unwrap();
    for file in ["vision_encoder.onnx", "cross_attention.onnx", "text_decoder_with_past.onnx"] {
        let bytes = fixture(file);
        let error = opened_with(file, &bytes[..bytes.len() / 2]);
        assert!(matches!(error, ModelError::BadFile { .. }), "{file}: {error:?}");
    }
    for (file, other, missing) in [
        ("vision_encoder.onnx", "text_decoder.onnx", "pixel_values"),
        ("cross_attention.onnx", "vision_encoder.onnx", "encoder_hidden_states"),
        ("text_decoder_with_past.onnx", "text_decoder.onnx", "past_key_values.0.decoder.key"),
    ] {
        let error = opened_with(file, &fixture(other));
        assert!(matches!(error, ModelError::WrongTensors { .. }), "{file}: {error:?}");
        let detail = error.detail().unwrap();
        assert!(detail.contains(missing) && detail.contains("found"), "{detail}");
    }
    for (file, bytes) in [
        ("vocab.txt", &b"\n"[..]),
        ("vocab.txt", b"\xff\xfe"),
        ("generation_config.json", b"{\"bos_token_id\": 1}"),
        ("generation_config.json", b"{"),
    ] {
        let error = opened_with(file, bytes);
        assert!(matches!(error, ModelError::BadFile { .. }), "{file}: {error:?}");
    }
}

#[test]
fn a_network_that_gives_no_numbers_fails_and_says_so() {
    let (file, epsilon) = ("text_decoder_with_past.onnx", 1e-12_f32.to_le_bytes());
    let folder = folder("tiny", "blip", "tiny-blip", WITH_PAST);
    let path = folder.path().join("tiny").join(file);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(4).position(|window| window == epsilon).expect("a layer norm's epsilon");
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let mut captioner = open(folder.path(), "tiny").unwrap();
    for num_beams in [1, 5] {
        let options = CaptionOptions { num_beams, ..CaptionOptions::default() };
        let error = captioner.caption(&[&grey(40, 30)], &options).unwrap_err();
        assert!(matches!(error, ModelError::Run { .. }), "{error:?}");
        assert!(error.detail().is_some_and(|detail| detail.contains("NaN")), "{error:?}");
    }
}
