//! The figures of a GPU: measured where the loaded ONNX Runtime and the machine have CUDA, left out
//! elsewhere, with the reason on stderr. YOLOv8n at 640×640 on a photo; a full detection goes from
//! a frame in memory to boxes, a bare run from a tensor to the graph's outputs.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use vigil_models::backend::{Device, Input, Session, SessionOptions};
use vigil_models::{
    DetectOptions, Detection, EmbedOptions, Image, Registry, open_detector, open_embedder,
};

use crate::setting::{Setting, frames_per_second, median};

/// Pairs, and runs of each side in a pair.
const PAIRS: usize = 7;
const RUNS: usize = 10;
/// Frames that go into one run, where a figure is of batches.
const BATCH: usize = 8;
/// Side of the square input, pixels.
const SIDE: usize = 640;

/// Boxes of the two devices pair when they have one class, this IoU at least, and confidences that
/// differ by no more than this: what is asked of every reference.
const LEAST_IOU: f32 = 0.95;
const MOST_CONFIDENCE: f32 = 0.02;
/// Boxes surer than this are looked at.
const SURE: f32 = 0.3;

fn options(setting: &Setting, device: Device) -> SessionOptions {
    SessionOptions { intra_threads: setting.threads, device, ..SessionOptions::default() }
}

/// The graph's path, where a session opens on CUDA.
fn on_cuda(setting: &Setting, figure: &str) -> Result<Option<Session>> {
    let graph = setting.models.join("yolov8n/model.onnx");
    let photo = setting.data.join("photos/zidane.jpg");
    if !setting.has(figure, &[&graph, &photo]) {
        return Ok(None);
    }
    match Session::open("yolov8n", &graph, options(setting, Device::Cuda)) {
        Ok(session) => Ok(Some(session)),
        Err(error) => {
            eprintln!("{figure} is not measured: {error}");
            Ok(None)
        }
    }
}

fn photo(path: &Path) -> Result<Image> {
    let decoded = image::open(path)?.into_rgb8();
    let (width, height) = decoded.dimensions();
    Ok(Image::new(width, height, decoded.into_raw())?)
}

/// A full detection of `batch` frames on a device, as something that is run.
fn detection(
    setting: &Setting,
    device: Device,
    half_precision: bool,
    batch: usize,
) -> Result<impl FnMut() -> Result<()>> {
    let registry = Registry::open(&setting.models)?;
    let options = SessionOptions { half_precision, ..options(setting, device) };
    let mut detector = open_detector(&registry, registry.entry("yolov8n")?, options)?;
    let picture = photo(&setting.data.join("photos/zidane.jpg"))?;
    let detect = DetectOptions { rect: false, ..DetectOptions::default() };
    Ok(move || {
        detector.detect(&vec![(&picture, &detect); batch])?;
        Ok(())
    })
}

/// The median over pairs of the seconds of `left` over those of `right`; both run once to be warm.
fn seconds_ratio(
    what: (&str, &str),
    mut left: impl FnMut() -> Result<()>,
    mut right: impl FnMut() -> Result<()>,
) -> Result<f64> {
    fn seconds(run: &mut impl FnMut() -> Result<()>) -> Result<f64> {
        let start = Instant::now();
        for _ in 0..RUNS {
            run()?;
        }
        Ok(start.elapsed().as_secs_f64())
    }
    left()?;
    right()?;
    let mut ratios = Vec::with_capacity(PAIRS);
    for pair in 0..PAIRS {
        let (left, right) = (seconds(&mut left)?, seconds(&mut right)?);
        let millis = |seconds: f64| seconds * 1000.0 / RUNS as f64;
        eprintln!(
            "pair {pair}: {} {:.2} ms, {} {:.2} ms",
            what.0,
            millis(left),
            what.1,
            millis(right)
        );
        ratios.push(left / right);
    }
    Ok(median(ratios))
}

/// `cuda_detect_over_cpu`: frames a second of full detections in batches of 8, the GPU over the CPU.
pub fn detect_over_cpu(setting: &Setting) -> Result<Option<f64>> {
    if on_cuda(setting, "cuda_detect_over_cpu")?.is_none() {
        return Ok(None);
    }
    let cpu = detection(setting, Device::Cpu, false, BATCH)?;
    let cuda = detection(setting, Device::Cuda, false, BATCH)?;
    seconds_ratio(("CPU", "CUDA"), cpu, cuda).map(Some)
}

/// `cuda_detect_over_session`: the time of a full detection of one frame over that of the bare run.
pub fn detect_over_session(setting: &Setting) -> Result<Option<f64>> {
    let Some(session) = on_cuda(setting, "cuda_detect_over_session")? else { return Ok(None) };
    let full = detection(setting, Device::Cuda, false, 1)?;
    seconds_ratio(("detect", "session"), full, bare(session, 1)).map(Some)
}

/// A bare run of a batch.
fn bare(mut session: Session, batch: usize) -> impl FnMut() -> Result<()> {
    // The time of a run does not depend on what is in the tensor.
    let tensor = vec![0.5; batch * 3 * SIDE * SIDE];
    move || {
        session.run(&[Input::f32("images", &[batch, 3, SIDE, SIDE], &tensor)])?;
        Ok(())
    }
}

/// `cuda_bound_over_plain`: runs a second of batches of 8 with bound tensors over plain runs.
pub fn bound_over_plain(setting: &Setting) -> Result<Option<f64>> {
    let Some(bound) = on_cuda(setting, "cuda_bound_over_plain")? else { return Ok(None) };
    let graph = setting.models.join("yolov8n/model.onnx");
    let options = SessionOptions { bind: false, ..options(setting, Device::Cuda) };
    let plain = Session::open("yolov8n", &graph, options)?;
    seconds_ratio(("plain", "bound"), bare(plain, BATCH), bare(bound, BATCH)).map(Some)
}

/// `cuda_half_over_single`: frames a second of full detections in batches of 8, float16 over
/// float32. Needs `model_fp16.onnx` beside the graph and in the models folder's manifest.
pub fn half_over_single(setting: &Setting) -> Result<Option<f64>> {
    let name = "cuda_half_over_single";
    if on_cuda(setting, name)?.is_none() {
        return Ok(None);
    }
    if !Registry::open(&setting.models)?.entry("yolov8n")?.has_half() {
        eprintln!("{name} is not measured: yolov8n has no float16 graph");
        return Ok(None);
    }
    let single = detection(setting, Device::Cuda, false, BATCH)?;
    let half = detection(setting, Device::Cuda, true, BATCH)?;
    seconds_ratio(("float32", "float16"), single, half).map(Some)
}

/// `cuda_boxes_agree`: the share of boxes above 0.3 of COCO's pictures that pair on both devices.
pub fn boxes_agree(setting: &Setting) -> Result<Option<f64>> {
    let name = "cuda_boxes_agree";
    if on_cuda(setting, name)?.is_none() {
        return Ok(None);
    }
    let registry = Registry::open(&setting.models)?;
    let entry = registry.entry("yolov8n")?;
    let mut cpu = open_detector(&registry, entry, options(setting, Device::Cpu))?;
    let mut cuda = open_detector(&registry, entry, options(setting, Device::Cuda))?;
    let detect = DetectOptions { confidence_threshold: 0.25, ..DetectOptions::default() };
    let (mut boxes, mut paired) = (0_usize, 0_usize);
    for file in std::fs::read_dir(setting.data.join("coco/images"))? {
        let picture = photo(&file?.path())?;
        let left = cpu.detect(&[(&picture, &detect)])?.remove(0);
        let right = cuda.detect(&[(&picture, &detect)])?.remove(0);
        for (these, others) in [(&left, &right), (&right, &left)] {
            let sure: Vec<_> = these.iter().filter(|found| found.confidence > SURE).collect();
            boxes += sure.len();
            paired += sure.iter().filter(|found| others.iter().any(|o| pairs(found, o))).count();
        }
    }
    eprintln!("{paired} of {boxes} boxes pair");
    Ok(Some(paired as f64 / boxes as f64))
}

fn pairs(left: &Detection, right: &Detection) -> bool {
    left.class_id == right.class_id
        && (left.confidence - right.confidence).abs() <= MOST_CONFIDENCE
        && left.bbox.iou(&right.bbox) >= LEAST_IOU
}

/// `cuda_embed_over_cpu`: sentences a second of the embedder in float32, the GPU over the CPU.
pub fn embed_over_cpu(setting: &Setting) -> Result<Option<f64>> {
    const MODEL: &str = "all-minilm-l6-v2";
    const CAPTIONS: usize = 256;
    let name = "cuda_embed_over_cpu";
    let file = setting.data.join("captions/flickr8k-captions.txt");
    let graph = setting.models.join(MODEL).join("model.onnx");
    if on_cuda(setting, name)?.is_none() || !setting.has(name, &[&file, &graph]) {
        return Ok(None);
    }
    let text: Arc<str> = std::fs::read_to_string(&file)?.into();
    let registry = Registry::open(&setting.models)?;
    let side = |device| -> Result<_> {
        let options = options(setting, device);
        let mut embedder = open_embedder(&registry, registry.entry(MODEL)?, options)?;
        let text = Arc::clone(&text);
        Ok(move || {
            let lines = text.lines().step_by(97).take(CAPTIONS);
            let captions: Vec<&str> =
                lines.filter_map(|line| line.split_once('\t')).map(|(_, text)| text).collect();
            embedder.embed(&captions, EmbedOptions::default())?;
            Ok(())
        })
    };
    seconds_ratio(("CPU", "CUDA"), side(Device::Cpu)?, side(Device::Cuda)?).map(Some)
}

/// `cuda_pipeline_over_cpu`: frames a second of the whole pipeline on `bangkok-traffic.mp4`, from file
/// to visible rows, with the detector on the GPU over that with it on the CPU.
pub fn pipeline_over_cpu(setting: &Setting) -> Result<Option<f64>> {
    let name = "cuda_pipeline_over_cpu";
    let video = setting.data.join("video/bangkok-traffic.mp4");
    if on_cuda(setting, name)?.is_none() || !setting.has(name, &[&video]) {
        return Ok(None);
    }
    let data = tempfile::tempdir()?;
    let engine = setting.engine(data.path())?;
    let run = |source: &str, device: &str| {
        let options = [
            ("detector", "yolov8n"),
            ("tracker", "bytetrack"),
            ("captioner", "none"),
            ("embedder", "none"),
            ("device", device),
        ];
        frames_per_second(&engine, &video, source, &options)
    };
    run("warm", "cuda")?;
    let mut ratios = Vec::with_capacity(PAIRS);
    for pair in 0..PAIRS {
        let cpu = run(&format!("cpu{pair}"), "cpu")?;
        let cuda = run(&format!("cuda{pair}"), "cuda")?;
        eprintln!("pair {pair}: CPU {cpu:.1} frames/s, CUDA {cuda:.1} frames/s");
        ratios.push(cuda / cpu);
    }
    Ok(Some(median(ratios)))
}
