//! `detect_over_session`: the time of a full detection (a frame goes in, boxes come out: scaling,
//! the run, reading the output, suppression) over that of the bare session's run on one letterboxed
//! tensor. YOLOv8n float32 at 640×640 on a photo, the same number of threads on both sides.

use std::time::Instant;

use anyhow::Result;
use vigil_models::backend::{Input, Session, SessionOptions};
use vigil_models::{DetectOptions, Image, Registry, open_detector};

use crate::setting::{Setting, median};

/// Pairs, and runs of each side in a pair.
const PAIRS: usize = 15;
const RUNS: usize = 10;

/// Side of the square input, pixels.
const SIDE: usize = 640;

pub fn measure(setting: &Setting) -> Result<Option<f64>> {
    let photo = setting.data.join("photos/zidane.jpg");
    let graph = setting.models.join("yolov8n/model.onnx");
    if !setting.has("detect_over_session", &[&photo, &graph]) {
        return Ok(None);
    }
    let decoded = image::open(&photo)?.into_rgb8();
    let (width, height) = decoded.dimensions();
    let picture = Image::new(width, height, decoded.into_raw())?;
    let options = SessionOptions { intra_threads: setting.threads, ..SessionOptions::default() };
    let registry = Registry::open(&setting.models)?;
    let mut detector = open_detector(&registry, registry.entry("yolov8n")?, options)?;
    let mut session = Session::open("yolov8n", &graph, options)?;
    let detect = DetectOptions { rect: false, ..DetectOptions::default() };
    // The time of a run does not depend on what is in the tensor.
    let tensor = vec![0.5; 3 * SIDE * SIDE];
    let shape = [1, 3, SIDE, SIDE];
    let mut bare = || -> Result<f64> {
        let start = Instant::now();
        for _ in 0..RUNS {
            session.run(&[Input::f32("images", &shape, &tensor)])?;
        }
        Ok(start.elapsed().as_secs_f64())
    };
    let mut full = || -> Result<f64> {
        let start = Instant::now();
        for _ in 0..RUNS {
            detector.detect(&[(&picture, &detect)])?;
        }
        Ok(start.elapsed().as_secs_f64())
    };
    // Both sides run once to be warm; that is not counted.
    bare()?;
    full()?;
    let mut ratios = Vec::with_capacity(PAIRS);
    for pair in 0..PAIRS {
        let (bare, full) = (bare()?, full()?);
        let millis = |seconds: f64| seconds * 1000.0 / RUNS as f64;
        eprintln!("pair {pair}: session {:.2} ms, detect {:.2} ms", millis(bare), millis(full));
        ratios.push(full / bare);
    }
    Ok(Some(median(ratios)))
}
