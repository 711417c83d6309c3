//! What is known of a track from its detections, as differential data: integers only, so that it
//! is `Ord`, and parts that merge, so that one more detection does not mean reading all of them.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};
use vigil_models::{BBox, Detection};

/// Sub-pixels to a pixel: boxes inside collections are integers in 1/16 pixel.
const SUBPIXELS: f32 = 16.0;
/// Steps of a confidence from 0 to 1 inside collections.
const CONFIDENCE_STEPS: f32 = 10_000.0;

/// A detection that belongs to a track.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sighting {
    /// The frame.
    pub frame_number: i64,
    /// Its event time, microseconds since the Unix epoch.
    pub ts_micros: i64,
    /// The class.
    pub class_id: u32,
    /// Confidence in 1/10000.
    pub confidence_e4: u32,
    /// `x1, y1, x2, y2` in 1/16 pixel of the frame.
    pub box_sub: [i32; 4],
}

impl Sighting {
    /// A detection at a frame.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and pixels and confidences are far from the ends"
    )]
    pub fn new(frame_number: i64, ts_micros: i64, detection: &Detection) -> Self {
        let sub = |pixels: f32| (pixels * SUBPIXELS).round() as i32;
        let BBox { x1, y1, x2, y2 } = detection.bbox;
        Self {
            frame_number,
            ts_micros,
            class_id: detection.class_id,
            confidence_e4: (detection.confidence * CONFIDENCE_STEPS).round() as u32,
            box_sub: [sub(x1), sub(y1), sub(x2), sub(y2)],
        }
    }
}

/// A centre of a track's box at a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The frame.
    pub frame_number: i64,
    /// Horizontal centre in 1/32 pixel of the frame.
    x_sub: i32,
    /// Vertical centre in 1/32 pixel of the frame.
    y_sub: i32,
}

impl Position {
    fn of(sighting: &Sighting) -> Self {
        let [x1, y1, x2, y2] = sighting.box_sub;
        Self { frame_number: sighting.frame_number, x_sub: x1 + x2, y_sub: y1 + y2 }
    }

    /// The centre `(x, y)` in pixels of the frame.
    #[expect(clippy::cast_precision_loss, reason = "a coordinate of a picture fits an f32")]
    pub fn in_frame(&self) -> (f32, f32) {
        let scale = 2.0 * SUBPIXELS;
        (self.x_sub as f32 / scale, self.y_sub as f32 / scale)
    }
}

/// A track, or a part of one: what its detections add up to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrackSummary {
    /// The first frame it was seen in.
    pub first_frame: i64,
    /// The last frame it was seen in.
    pub last_frame: i64,
    /// When it was first seen, microseconds since the Unix epoch.
    pub first_ts_micros: i64,
    /// When it was last seen.
    pub last_ts_micros: i64,
    /// Number of detections.
    pub detections: i64,
    confidence_sum_e4: i64,
    confidence_max_e4: u32,
    /// Sum of confidences in 1/10000 of each class it was taken for, by class.
    classes: Vec<(u32, i64)>,
    last_box_sub: [i32; 4],
    /// The last centres, oldest first.
    pub positions: Vec<Position>,
}

impl TrackSummary {
    /// A track of one detection.
    pub fn of(sighting: &Sighting) -> Self {
        Self {
            first_frame: sighting.frame_number,
            last_frame: sighting.frame_number,
            first_ts_micros: sighting.ts_micros,
            last_ts_micros: sighting.ts_micros,
            detections: 1,
            confidence_sum_e4: i64::from(sighting.confidence_e4),
            confidence_max_e4: sighting.confidence_e4,
            classes: vec![(sighting.class_id, i64::from(sighting.confidence_e4))],
            last_box_sub: sighting.box_sub,
            positions: vec![Position::of(sighting)],
        }
    }

    /// The same track with another part of it, in whatever order; at most `max_history` positions
    /// are kept.
    pub fn extend(&mut self, other: &Self, max_history: usize) {
        self.first_frame = self.first_frame.min(other.first_frame);
        self.first_ts_micros = self.first_ts_micros.min(other.first_ts_micros);
        self.detections += other.detections;
        self.confidence_sum_e4 += other.confidence_sum_e4;
        self.confidence_max_e4 = self.confidence_max_e4.max(other.confidence_max_e4);
        self.positions.extend_from_slice(&other.positions);
        if !self.positions.is_sorted() {
            self.positions.sort_unstable();
        }
        let surplus = self.positions.len().saturating_sub(max_history);
        self.positions.drain(..surplus);
        if (other.last_frame, other.last_box_sub) > (self.last_frame, self.last_box_sub) {
            self.last_frame = other.last_frame;
            self.last_ts_micros = other.last_ts_micros;
            self.last_box_sub = other.last_box_sub;
        }
        for &(class, weight) in &other.classes {
            match self.classes.binary_search_by_key(&class, |(class, _)| *class) {
                Ok(at) => self.classes[at].1 += weight,
                Err(at) => self.classes.insert(at, (class, weight)),
            }
        }
    }

    /// Adds up parts.
    pub fn sum<'a>(parts: impl IntoIterator<Item = &'a Self>, max_history: usize) -> Option<Self> {
        let mut parts = parts.into_iter();
        let mut sum = parts.next()?.clone();
        for part in parts {
            sum.extend(part, max_history);
        }
        Some(sum)
    }

    /// The class that its detections speak for most, by the sum of their confidences; the lower
    /// number at a tie. A detector that wavers for a frame does not rename the object.
    pub fn class_id(&self) -> u32 {
        let most = self.classes.iter().max_by_key(|(class, weight)| (*weight, Reverse(*class)));
        most.map_or(0, |(class, _)| *class)
    }

    /// Mean confidence, 0..=1.
    #[expect(clippy::cast_precision_loss, reason = "a mean of confidences needs four digits")]
    pub fn avg_confidence(&self) -> f32 {
        self.confidence_sum_e4 as f32 / self.detections.max(1) as f32 / CONFIDENCE_STEPS
    }

    /// Highest confidence, 0..=1.
    #[expect(clippy::cast_precision_loss, reason = "at most 10000")]
    pub fn max_confidence(&self) -> f32 {
        self.confidence_max_e4 as f32 / CONFIDENCE_STEPS
    }

    /// The last box, pixels of the frame.
    #[expect(clippy::cast_precision_loss, reason = "a coordinate of a picture fits an f32")]
    pub fn last_box(&self) -> BBox {
        let [x1, y1, x2, y2] = self.last_box_sub.map(|sub| sub as f32 / SUBPIXELS);
        BBox::new(x1, y1, x2, y2)
    }
}
