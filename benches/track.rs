//! `make bench-track`: the trackers alone, beside PyPI's `trackers` in the same run.
//!
//! * `bytetrack_100_ms`: milliseconds a frame of 100 objects over 1,000 frames, `bytetrack`, one
//!   core; `bytetrack_100_over_python`: over the package's ByteTrack on the same boxes.
//! * `bytetrack_100_over_supervision`: the same over supervision's ByteTrack.
//! * `bytetrack_over_python`: frames a second on the real detection files one after the other,
//!   over the package's.
//! * `ocsort_…`, `iou_…`: the same of these; beside `iou` is the package's SORT.
//! * `deepsort_100_over_python`: 100 objects over 100 frames, each with an appearance of 512
//!   numbers, over PyPI's deep-sort-realtime. StrongSORT's counterparts need torch, and are left out.
//! * `tracks_1000_ms`: milliseconds a frame of 1,000 objects.
//! * `bytetrack_allocations`: allocations in 500 frames once the buffers have grown.
//!
//! The two run in turn, A B A B; what is told is the median of the pairs' ratios.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use vigil::eval::mot;
use vigil::track::{Assignment, FrameInput, TrackOptions, Tracker, TrackerKind};
use vigil_models::{BBox, Detection};

/// Pairs of a run of ours and a run of the package.
const PAIRS: usize = 3;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Frames of detections.
type Frames = Vec<Vec<Detection>>;

fn main() -> Result<()> {
    let root = vigil_test_data::top_level();
    let shared = vigil_test_data::root();
    let crowd = objects(100, 1000);
    let real = real_sequences(&shared.join("data/mot"))?;
    let folder = std::env::temp_dir().join(format!("vigil-bench-track-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    write(&folder.join("crowd.txt"), std::slice::from_ref(&crowd))?;
    write(&folder.join("real.txt"), &real)?;
    let python = std::env::var_os("VIGIL_BENCH_PYTHON")
        .map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    let theirs = |tracker: &str, file: &str| -> Result<f64> {
        let output = Command::new(&python)
            .arg(root.join("benches/track_reference.py"))
            .args(["time", "--tracker", tracker, "--frames"])
            .arg(folder.join(file))
            .output()
            .with_context(|| format!("{} does not run", python.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let frames: usize = real.iter().map(Vec::len).sum();
    for (name, counterpart) in [("bytetrack", "bytetrack"), ("ocsort", "ocsort"), ("iou", "sort")] {
        let (mut per_frame, mut crowd_ratios, mut real_ratios) = (vec![], vec![], vec![]);
        for _ in 0..PAIRS {
            let ours = seconds(name, std::slice::from_ref(&crowd), &[]);
            per_frame.push(ours / 1000.0 * 1e3);
            crowd_ratios.push(theirs(counterpart, "crowd.txt")? / ours);
            real_ratios.push(theirs(counterpart, "real.txt")? / seconds(name, &real, &[]));
        }
        figure(&format!("{name}_100_ms"), median(per_frame), "ms");
        figure(&format!("{name}_100_over_python"), median(crowd_ratios), "ratio");
        figure(&format!("{name}_over_python"), median(real_ratios), "ratio");
    }
    let mut ratios = vec![];
    for _ in 0..PAIRS {
        let ours = seconds("bytetrack", std::slice::from_ref(&crowd), &[]);
        ratios.push(theirs("supervision", "crowd.txt")? / ours);
    }
    figure("bytetrack_100_over_supervision", median(ratios), "ratio");
    for name in ["deepsort", "strongsort"] {
        let ours = seconds(name, std::slice::from_ref(&crowd), &[]);
        figure(&format!("{name}_100_ms"), ours / 1000.0 * 1e3, "ms");
    }
    let short = crowd[..100].to_vec();
    write(&folder.join("short.txt"), std::slice::from_ref(&short))?;
    let looks = looks(100);
    let (mut per_frame, mut ratios) = (vec![], vec![]);
    for _ in 0..PAIRS {
        let ours = seconds("deepsort", std::slice::from_ref(&short), &looks);
        per_frame.push(ours / 100.0 * 1e3);
        ratios.push(theirs("deepsort", "short.txt")? / ours);
    }
    figure("deepsort_100_looks_ms", median(per_frame), "ms");
    figure("deepsort_100_over_python", median(ratios), "ratio");
    let ours = seconds("strongsort", std::slice::from_ref(&short), &looks);
    figure("strongsort_100_looks_ms", ours / 100.0 * 1e3, "ms");
    let many = objects(1000, 100);
    figure(
        "tracks_1000_ms",
        seconds("bytetrack", std::slice::from_ref(&many), &[]) / 100.0 * 1e3,
        "ms",
    );
    figure("bytetrack_allocations", allocations(&crowd), "allocations");
    eprintln!("{frames} real frames");
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are the result")]
fn figure(name: &str, value: f64, unit: &str) {
    let mut line = String::new();
    let _ = write!(line, "figure {name} {value:.4} {unit}");
    println!("{line}");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Objects of 40 × 100 pixels that walk on a field of 40 × 120 pixels each.
fn objects(count: u16, frames: u16) -> Frames {
    let side = f32::from(count).sqrt().ceil();
    let object = |number: u16, frame: u16| {
        let phase = f32::from(number) * 2.399 + f32::from(frame) * 0.05;
        let (column, row) = (f32::from(number) % side, (f32::from(number) / side).floor());
        let x = column * 60.0 + 12.0 * phase.cos();
        let y = row * 120.0 + 12.0 * phase.sin();
        let confidence = 0.75 + 0.2 * (phase * 1.7).sin();
        Detection { class_id: 0, confidence, bbox: BBox::new(x, y, x + 40.0, y + 100.0) }
    };
    (0..frames).map(|frame| (0..count).map(|number| object(number, frame)).collect()).collect()
}

fn real_sequences(folder: &Path) -> Result<Vec<Frames>> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .with_context(|| format!("{} is missing; VIGIL_SHARED names shared/", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| folder.join(name).join("det.txt").is_file())
        .collect();
    names.sort();
    let read = |name: &String| {
        let is_logit = name.starts_with("KITTI");
        let scores = if is_logit { mot::Scores::Sigmoid } else { mot::Scores::Confidence };
        let mut found: BTreeMap<i64, Vec<Detection>> =
            mot::read_detections(&folder.join(name).join("det.txt"), scores)?;
        let last = found.last_key_value().map_or(0, |(number, _)| *number);
        Ok((1..=last).map(|number| found.remove(&number).unwrap_or_default()).collect())
    };
    names.iter().map(read).collect()
}

/// One line a box: sequence, frame, corners, confidence.
fn write(path: &Path, sequences: &[Frames]) -> Result<()> {
    let mut text = String::new();
    for (sequence, frames) in sequences.iter().enumerate() {
        for (frame, detections) in frames.iter().enumerate() {
            for Detection { bbox: b, confidence, .. } in detections {
                writeln!(
                    text,
                    "{sequence},{frame},{},{},{},{},{confidence}",
                    b.x1, b.y1, b.x2, b.y2
                )?;
            }
        }
    }
    Ok(std::fs::write(path, text)?)
}

/// An appearance of 512 numbers for each object, by the rule that the script has too.
#[expect(clippy::cast_possible_truncation, reason = "a number of a vector")]
fn looks(count: u32) -> Vec<Option<Arc<[f32]>>> {
    let of = |object: u32| {
        let number = |place: u32| {
            ((f64::from(object * 512 + place) * 12.9898).sin() * 43758.5453).rem_euclid(1.0) - 0.5
        };
        let numbers: Vec<f64> = (0..512).map(number).collect();
        let length = numbers.iter().map(|number| number * number).sum::<f64>().sqrt();
        numbers.iter().map(|number| (number / length) as f32).collect()
    };
    (0..count).map(|object| Some(of(object))).collect()
}

fn frame<'a>(
    number: i64,
    detections: &'a [Detection],
    features: &'a [Option<Arc<[f32]>>],
) -> FrameInput<'a> {
    FrameInput {
        frame_number: number,
        ts_micros: number * 33_333,
        width: 0,
        height: 0,
        detections,
        features,
        motion: None,
    }
}

fn tracker(name: &str) -> Box<dyn Tracker> {
    let options = TrackOptions { max_tracks: 2000, ..TrackOptions::default() };
    TrackerKind::from_name(name).unwrap_or(TrackerKind::NONE).tracker(&options)
}

/// Seconds for all frames of all sequences, whose objects may have looks.
fn seconds(name: &str, sequences: &[Frames], looks: &[Option<Arc<[f32]>>]) -> f64 {
    let mut out = Assignment::default();
    let start = Instant::now();
    for frames in sequences {
        let mut tracker = tracker(name);
        for (number, detections) in (0..).zip(frames) {
            tracker.update_into(&frame(number, detections, looks), &mut out);
            std::hint::black_box(&out);
        }
    }
    start.elapsed().as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "a count")]
fn allocations(crowd: &Frames) -> f64 {
    let mut tracker = tracker("bytetrack");
    let mut out = Assignment::default();
    let mut before = 0;
    for (number, detections) in (0..).zip(crowd) {
        if number == 500 {
            before = ALLOCATIONS.load(Ordering::Relaxed);
        }
        tracker.update_into(&frame(number, detections, &[]), &mut out);
    }
    (ALLOCATIONS.load(Ordering::Relaxed) - before) as f64
}
