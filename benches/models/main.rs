//! `make bench-models`: the models against the bare ONNX Runtime session, against Python and against
//! themselves, as ratios of one run. One file for each figure, and one for those of a GPU; a
//! figure's file says what it is.
//!
//! Sides are measured in turn, A B A B, and a figure is the median of the pairs' ratios. A figure
//! whose model or video is not there is named on stderr and left out. With words after `--`, only
//! figures that contain one of them are measured.

mod caption_cache_over_none;
mod cuda;
mod detect_over_session;
mod embed_over_python;
mod letterbox_1080p;
mod rect_over_square;
mod setting;

use anyhow::Result;
use setting::Setting;

/// A figure's name, its unit, and how it is measured: `None` when something it needs is missing.
type Figure = (&'static str, &'static str, fn(&Setting) -> Result<Option<f64>>);

const FIGURES: &[Figure] = &[
    ("letterbox_1080p_ms", "ms", letterbox_1080p::measure),
    ("detect_over_session", "ratio", detect_over_session::measure),
    ("rect_over_square", "ratio", rect_over_square::measure),
    ("embed_over_python", "ratio", embed_over_python::measure),
    ("caption_cache_over_none", "ratio", caption_cache_over_none::measure),
    ("cuda_boxes_agree", "share", cuda::boxes_agree),
    ("cuda_detect_over_session", "ratio", cuda::detect_over_session),
    ("cuda_bound_over_plain", "ratio", cuda::bound_over_plain),
    ("cuda_half_over_single", "ratio", cuda::half_over_single),
    ("cuda_detect_over_cpu", "ratio", cuda::detect_over_cpu),
    ("cuda_embed_over_cpu", "ratio", cuda::embed_over_cpu),
    ("cuda_pipeline_over_cpu", "ratio", cuda::pipeline_over_cpu),
];

fn main() -> Result<()> {
    let setting = Setting::find()?;
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(&**word));
    let mut measured = Vec::new();
    for (name, unit, measure) in FIGURES.iter().filter(|(name, ..)| wanted(name)) {
        if let Some(value) = measure(&setting)? {
            measured.push((name, value, unit));
        }
    }
    for (name, value, unit) in measured {
        figure(name, value, unit);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "figures are what the bench is for")]
fn figure(name: &str, value: f64, unit: &str) {
    println!("figure {name} {value:.3} {unit}");
}
