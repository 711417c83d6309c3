//! `caption_cache_over_none`: tokens a second of a captioner that keeps the keys and values of past
//! tokens over those of the same one that runs its decoder on the whole sentence for each token.
//! Greedy, one picture at a time, the vision encoder included on both sides.
//!
//! The model is the tests' tiny BLIP with random weights in 6 layers of 256 numbers, which
//! `models/export/tiny_blip.py` makes; `make bench-models` puts it into `.vigil/bench/blip-6-layers`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use vigil_models::backend::SessionOptions;
use vigil_models::{CaptionOptions, Captioner, Image, Registry, open_captioner};

use crate::setting::{Setting, median};

const PAIRS: usize = 5;
const PHOTOS: usize = 8;

const WITH_PAST: &[&str] = &[
    "vision_encoder.onnx",
    "cross_attention.onnx",
    "text_decoder_with_past.onnx",
    "vocab.txt",
    "generation_config.json",
];
const WITHOUT: &[&str] =
    &["vision_encoder.onnx", "text_decoder.onnx", "vocab.txt", "generation_config.json"];

pub fn measure(setting: &Setting) -> Result<Option<f64>> {
    let made = vigil_test_data::top_level().join(".vigil/bench/blip-6-layers");
    let needed: Vec<PathBuf> =
        WITH_PAST.iter().chain(WITHOUT).map(|file| made.join(file)).collect();
    let needed: Vec<&Path> = needed.iter().map(PathBuf::as_path).collect();
    let photos = setting.data.join("photos/zidane.jpg");
    if !setting.has("caption_cache_over_none", &[&needed[..], &[&photos]].concat()) {
        return Ok(None);
    }
    let photos = photos_of(&setting.data.join("coco/images"))?;
    let models = tempfile::tempdir()?;
    let mut manifest = String::new();
    for (name, files) in [("with", WITH_PAST), ("without", WITHOUT)] {
        std::os::unix::fs::symlink(&made, models.path().join(name))?;
        writeln!(
            manifest,
            "[[model]]\nname = \"{name}\"\nversion = \"1\"\ntask = \"captioner\"\n\
             family = \"blip\"\nlicence = \"Apache-2.0\""
        )?;
        for file in files {
            writeln!(manifest, "[[model.file]]\nname = \"{file}\"")?;
        }
    }
    std::fs::write(models.path().join("manifest.toml"), manifest)?;
    let registry = Registry::open(models.path())?;
    let options = SessionOptions { intra_threads: setting.threads, ..SessionOptions::default() };
    let open = |name| open_captioner(&registry, registry.entry(name)?, options);
    let (mut with, mut without) = (open("with")?, open("without")?);
    // Both sides run once to be warm, and say the same.
    ensure!(said(&mut *with, &photos)?.1 == said(&mut *without, &photos)?.1, "captions differ");
    let mut ratios = Vec::with_capacity(PAIRS);
    for pair in 0..PAIRS {
        let (without, _) = said(&mut *without, &photos)?;
        let (with, _) = said(&mut *with, &photos)?;
        eprintln!("pair {pair}: without {without:.0} tokens/s, with {with:.0} tokens/s");
        ratios.push(with / without);
    }
    Ok(Some(median(ratios)))
}

/// Tokens a second, and the tokens.
fn said(captioner: &mut dyn Captioner, photos: &[Image]) -> Result<(f64, Vec<Vec<i64>>)> {
    let greedy = CaptionOptions { num_beams: 1, ..CaptionOptions::default() };
    let start = Instant::now();
    let mut all = Vec::with_capacity(photos.len());
    for photo in photos {
        all.extend(captioner.caption(&[photo], &greedy)?.into_iter().map(|said| said.tokens));
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok((all.iter().map(Vec::len).sum::<usize>() as f64 / seconds, all))
}

fn photos_of(folder: &Path) -> Result<Vec<Image>> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    let open = |path: &PathBuf| {
        let decoded = image::open(path)?.into_rgb8();
        let (width, height) = decoded.dimensions();
        Ok(Image::new(width, height, decoded.into_raw())?)
    };
    paths.iter().take(PHOTOS).map(open).collect()
}
