//! The options of `LOAD GENERATOR MOVING_BOXES`; what it draws is in `decode/moving_boxes.rs`.

use super::error::SourceError;
use super::option::{self, OptionDoc};
use super::value;

/// The generator's name in SQL, lower case.
pub(super) const GENERATOR: &str = "moving_boxes";

/// A drawn video: what is in it follows from these numbers alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MovingBoxes {
    /// Number of objects.
    pub objects: u32,
    /// Number of frames.
    pub frames: u64,
    /// Width of a frame, pixels.
    pub width: u32,
    /// Height of a frame, pixels.
    pub height: u32,
    /// What the objects' places, sizes and speeds are drawn from.
    pub seed: u64,
    /// Frames a second.
    pub fps: f64,
}

impl Default for MovingBoxes {
    fn default() -> Self {
        Self { objects: 20, frames: 300, width: 640, height: 480, seed: 7, fps: 25.0 }
    }
}

impl MovingBoxes {
    /// The options of `LOAD GENERATOR name (option = value, …)`.
    ///
    /// # Errors
    /// [`SourceError`] for another generator, an unknown option or a bad value.
    pub fn from_options(name: &str, options: &[(String, String)]) -> Result<Self, SourceError> {
        if !name.eq_ignore_ascii_case(GENERATOR) {
            return Err(SourceError::UnknownGenerator { name: name.to_ascii_lowercase() });
        }
        let mut boxes = Self::default();
        option::apply(OPTIONS, &mut boxes, options)?;
        Ok(boxes)
    }
}

/// Every option that `LOAD GENERATOR MOVING_BOXES (…)` takes.
pub fn moving_boxes_options() -> &'static [OptionDoc<MovingBoxes>] {
    OPTIONS
}

const OPTIONS: &[OptionDoc<MovingBoxes>] = &[
    OptionDoc {
        name: "objects",
        kind: "integer",
        default: "20",
        range: "an integer from 0 to 1000",
        doc: "So many boxes move about: persons, cars and bicycles in turn.",
        set: |boxes, text| {
            boxes.objects = value::integer(text, 0, 1000)?;
            Some(())
        },
    },
    OptionDoc {
        name: "frames",
        kind: "integer",
        default: "300",
        range: "an integer from 1 to 1000000000",
        doc: "The number of frames.",
        set: |boxes, text| {
            boxes.frames = value::integer(text, 1, 1_000_000_000)?;
            Some(())
        },
    },
    OptionDoc {
        name: "width",
        kind: "integer",
        default: "640",
        range: "an integer from 64 to 8192",
        doc: "Width of a frame in pixels.",
        set: |boxes, text| {
            boxes.width = value::integer(text, 64, 8192)?;
            Some(())
        },
    },
    OptionDoc {
        name: "height",
        kind: "integer",
        default: "480",
        range: "an integer from 64 to 8192",
        doc: "Height of a frame in pixels.",
        set: |boxes, text| {
            boxes.height = value::integer(text, 64, 8192)?;
            Some(())
        },
    },
    OptionDoc {
        name: "seed",
        kind: "integer",
        default: "7",
        range: "an integer from 0 to 9223372036854775807",
        doc: "The same seed draws the same video on every machine.",
        set: |boxes, text| {
            boxes.seed = value::integer(text, 0, i64::MAX)?;
            Some(())
        },
    },
    OptionDoc {
        name: "fps",
        kind: "float8",
        default: "25",
        range: "a number from 0.1 to 1000",
        doc: "Frames a second of the drawn video.",
        set: |boxes, text| {
            boxes.fps = value::number(text).filter(|fps| (0.1..=1000.0).contains(fps))?;
            Some(())
        },
    },
];
