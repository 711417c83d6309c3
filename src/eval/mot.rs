//! MOTChallenge text files: lines of `frame, id, left, top, width, height, confidence, …`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use vigil_models::{BBox, Detection};

/// A box with an identity, in the numbers of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Labelled {
    /// The object or the track.
    pub id: i64,
    /// `left, top, width, height`, pixels.
    pub ltwh: [f64; 4],
    /// The detector's confidence; of ground truth, 0 where a box does not count.
    pub confidence: f64,
}

/// The boxes of each frame, by frame number.
pub type Frames = BTreeMap<i64, Vec<Labelled>>;

/// What a detector's scores are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scores {
    /// Confidences from 0 to 1.
    #[default]
    Confidence,
    /// Logits, which a sigmoid turns into confidences.
    Sigmoid,
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum MotError {
    /// The file system said no.
    #[error("could not read file \"{}\": {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is not what it should be.
    #[error("invalid line {line} in \"{}\": {reason}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, a clause.
        reason: String,
    },
    /// The detections of a frame are not what they should be.
    #[error("invalid detections of frame {frame} in \"{}\": {reason}", .path.display())]
    Frame {
        /// The file.
        path: PathBuf,
        /// The frame.
        frame: i64,
        /// What is wrong, a clause.
        reason: String,
    },
}

/// Reads a file.
///
/// # Errors
/// [`MotError`] when it cannot be read, or a line has fewer than six numbers or one that is none.
pub fn read(path: &Path) -> Result<Frames, MotError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| MotError::Read { path: path.to_owned(), source })?;
    parse_lines(path, &text)
}

/// Reads the text of a file; `path` is for errors.
pub(super) fn parse_lines(path: &Path, text: &str) -> Result<Frames, MotError> {
    let mut frames = Frames::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let at = |reason: String| MotError::Line { path: path.to_owned(), line: index + 1, reason };
        let (frame, labelled) = parse(line).map_err(at)?;
        frames.entry(frame).or_default().push(labelled);
    }
    Ok(frames)
}

fn parse(line: &str) -> Result<(i64, Labelled), String> {
    let mut numbers = [0.0_f64; 7];
    numbers[6] = 1.0;
    let mut count = 0;
    for (place, text) in numbers.iter_mut().zip(line.split(',')) {
        *place = text.trim().parse().map_err(|_| format!("\"{}\" is no number", text.trim()))?;
        count += 1;
    }
    if count < 6 {
        return Err(format!("{count} numbers are too few; there are at least 6"));
    }
    let [frame, id, left, top, width, height, confidence] = numbers;
    let whole = |number: f64, what: &str| {
        let is_whole = number.fract() == 0.0 && number.abs() < 9e15;
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
        is_whole.then_some(number as i64).ok_or(format!("the {what} {number} is no whole number"))
    };
    let ltwh = [left, top, width, height];
    Ok((whole(frame, "frame")?, Labelled { id: whole(id, "identity")?, ltwh, confidence }))
}

/// The detections of a frame. Boxes and confidences that are none stay what they are: what to make
/// of them is the tracker's matter.
///
/// # Errors
/// A clause, when a confidence is not from 0 to 1.
pub fn detections(labelled: &[Labelled], scores: Scores) -> Result<Vec<Detection>, String> {
    let detection = |labelled: &Labelled| {
        let [left, top, width, height] = labelled.ltwh;
        let confidence = match scores {
            Scores::Confidence => labelled.confidence,
            Scores::Sigmoid => 1.0 / (1.0 + (-labelled.confidence).exp()),
        };
        if !(0.0..=1.0).contains(&confidence) {
            return Err(format!("the confidence {confidence} is not from 0 to 1"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "pixels and confidences fit an f32")]
        let [left, top, right, bottom] =
            [left, top, left + width, top + height].map(|edge| edge as f32);
        #[expect(clippy::cast_possible_truncation, reason = "pixels and confidences fit an f32")]
        let confidence = confidence as f32;
        Ok(Detection { class_id: 0, confidence, bbox: BBox::new(left, top, right, bottom) })
    };
    labelled.iter().map(detection).collect()
}

/// Reads a file of detections.
///
/// # Errors
/// [`MotError`], also when a confidence is not from 0 to 1.
pub fn read_detections(
    path: &Path,
    scores: Scores,
) -> Result<BTreeMap<i64, Vec<Detection>>, MotError> {
    let of_frame = |(frame, labelled): (&i64, &Vec<Labelled>)| {
        let found = detections(labelled, scores).map_err(|reason| MotError::Frame {
            path: path.to_owned(),
            frame: *frame,
            reason,
        })?;
        Ok((*frame, found))
    };
    read(path)?.iter().map(of_frame).collect()
}

/// The text of a file of results.
pub fn text(frames: &Frames) -> String {
    let mut text = String::new();
    for (frame, labelled) in frames {
        for Labelled { id, ltwh: [left, top, width, height], confidence } in labelled {
            // Writing into a String cannot fail.
            let _ = writeln!(
                text,
                "{frame},{id},{left:.2},{top:.2},{width:.2},{height:.2},{confidence:.4},-1,-1,-1"
            );
        }
    }
    text
}

/// The frames a second that `seqinfo.ini` beside the files tells.
pub fn frame_rate(folder: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(folder.join("seqinfo.ini")).ok()?;
    let value = text.lines().find_map(|line| line.trim().strip_prefix("frameRate="))?;
    value.trim().parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0)
}
