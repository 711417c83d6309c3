//! `letterbox_1080p_ms`: the time on one core from a packed picture of 1920×1080 pixels to the tensor
//! of 3×640×640 floats that YOLOv8 takes: scaled, bordered, planar, in 0..=1. The median of many.

use std::time::Instant;

use anyhow::Result;
use vigil_models::{Image, Letterboxer};

use crate::setting::{Setting, median};

const RUNS: usize = 200;
const PICTURE: (u32, u32) = (1920, 1080);
const INPUT: (u32, u32) = (640, 640);

pub fn measure(_setting: &Setting) -> Result<Option<f64>> {
    let (width, height) = PICTURE;
    // The time does not depend on what is in the picture.
    let pixels = (0..width * height * 3).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8);
    let picture = Image::new(width, height, pixels.collect())?;
    let mut tensor = vec![0.0; 3 * INPUT.0 as usize * INPUT.1 as usize];
    let mut letterboxer = Letterboxer::default();
    letterboxer.fill(&picture, INPUT, &mut tensor)?;
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let start = Instant::now();
        letterboxer.fill(&picture, INPUT, &mut tensor)?;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(Some(median(times)))
}
