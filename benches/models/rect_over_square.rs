//! `rect_over_square`: frames a second of the whole pipeline, from file to visible rows, with the
//! input that has the least padding over the square one. YOLOv8n on `bangkok-traffic.mp4` (640×360,
//! so 640×384 over 640×640), IoU tracker, no captions.

use anyhow::Result;

use crate::setting::{Setting, frames_per_second, median};

const PAIRS: usize = 5;

pub fn measure(setting: &Setting) -> Result<Option<f64>> {
    let video = setting.data.join("video/bangkok-traffic.mp4");
    let graph = setting.models.join("yolov8n/model-384x640.onnx");
    if !setting.has("rect_over_square", &[&video, &graph]) {
        return Ok(None);
    }
    let data = tempfile::tempdir()?;
    let engine = setting.engine(data.path())?;
    let run = |name: &str, rect: &str| {
        let options = [
            ("detector", "yolov8n"),
            ("tracker", "iou"),
            ("captioner", "none"),
            ("embedder", "none"),
            ("rect", rect),
        ];
        frames_per_second(&engine, &video, name, &options)
    };
    let mut ratios = Vec::with_capacity(PAIRS);
    for pair in 0..PAIRS {
        let square = run(&format!("square{pair}"), "false")?;
        let rect = run(&format!("rect{pair}"), "true")?;
        eprintln!("pair {pair}: square {square:.2} frames/s, rect {rect:.2} frames/s");
        ratios.push(rect / square);
    }
    Ok(Some(median(ratios)))
}
