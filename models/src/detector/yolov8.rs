//! YOLOv8 and YOLO11 (and what else has their tensors): `images` batch × 3 × H × W in 0..=1 to
//! `output0` batch × (4 + classes) × anchors.
//!
//! Each anchor's column holds a box as centre x, centre y, width, height in input pixels and then
//! one score for each class; there is no objectness. Pictures are letterboxed, an anchor has its
//! best class (or, with `multi_label`, each that passes), and boxes are suppressed class by class.

use super::grid::{self, Family, Run, Tensors};
use super::letterbox::{Fit, Order, Place};
use crate::backend::{Outputs, Session, SessionOptions};
use crate::image::Filter;
use crate::manifest::ModelEntry;
use crate::{BBox, DetectOptions, Detection, Detector, ModelError, Registry};

const INPUT: &str = "images";
const OUTPUT: &str = "output0";

/// Rows of the output before the classes: the box.
const BOX_ROWS: usize = 4;

/// How pictures become the numbers of the input.
pub(super) const FIT: Fit = Fit {
    place: Place::Centre,
    filter: Filter::Bilinear,
    order: Order::Rgb,
    divisor: [255.0; 3],
    offset: [0.0; 3],
};

/// Opens the detector of a manifest entry.
pub(super) fn open(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn Detector>, ModelError> {
    grid::open::<Yolov8>(registry, entry, options)
}

/// The best score of each anchor, in a buffer that is kept.
#[derive(Default)]
struct Yolov8 {
    confidence: Vec<f32>,
}

impl Family for Yolov8 {
    const PLACE: Place = FIT.place;
    const STRIDE: u32 = 32;
    const DEFAULT_SIZE: u32 = 640;
    const SUPPRESSES: bool = true;

    fn check(session: &Session, labels: &[String]) -> Result<Tensors, ModelError> {
        grid::expect_floats(session, OUTPUT, &[None, Some(BOX_ROWS + labels.len()), None])?;
        Ok(Tensors { input: INPUT, sizes: None, fit: FIT })
    }

    fn candidates(
        &mut self,
        outputs: &Outputs<'_>,
        run: &Run<'_>,
    ) -> Result<Vec<Vec<Detection>>, ModelError> {
        let (shape, data) = outputs.floats(OUTPUT)?;
        let rows = BOX_ROWS + run.labels.len();
        let anchors = match shape[..] {
            [batch, found, anchors] if batch >= run.options.len() && found == rows => anchors,
            _ => return Err(run.wrong(format!("the run gave \"{OUTPUT}\" of shape {shape:?}"))),
        };
        let mut answers = Vec::with_capacity(run.options.len());
        for (columns, options) in data.chunks_exact((rows * anchors).max(1)).zip(&run.options) {
            let found = if options.multi_label {
                each_class(columns, anchors, options)
            } else {
                self.best_class(columns, anchors, options)
            };
            answers.push(found.ok_or_else(|| run.wrong("a score or box is no number"))?);
        }
        Ok(answers)
    }
}

impl Yolov8 {
    /// The anchors of one picture that pass the options, with boxes in input pixels; `None` when a
    /// score or one of their boxes is no number. `columns` is (4 + classes) × anchors.
    ///
    /// Goes class by class over all anchors, as memory lies and as vector instructions want it, and
    /// asks which class it was for those alone that pass: a few of thousands.
    fn best_class(
        &mut self,
        columns: &[f32],
        anchors: usize,
        options: &DetectOptions,
    ) -> Option<Vec<Detection>> {
        self.confidence.clear();
        self.confidence.resize(anchors, f32::NEG_INFINITY);
        let (boxes, scores) = columns.split_at(BOX_ROWS * anchors);
        let mut nan = 0;
        for scores in scores.chunks_exact(anchors) {
            for (confidence, &score) in self.confidence.iter_mut().zip(scores) {
                *confidence = if score > *confidence { score } else { *confidence };
                nan |= u32::from(score.is_nan());
            }
        }
        if nan != 0 {
            return None;
        }
        let mut found = Vec::new();
        for (anchor, &confidence) in self.confidence.iter().enumerate() {
            if confidence < options.confidence_threshold {
                continue;
            }
            // Of classes with one score the first.
            let mut of_anchor = (0..).zip(scores.iter().skip(anchor).step_by(anchors));
            let best = of_anchor.find(|&(_, &score)| score == confidence);
            let Some((class_id, _)) = best else { continue };
            if options.wants(class_id, confidence) {
                found.push(Detection { class_id, confidence, bbox: bbox(boxes, anchors, anchor)? });
            }
        }
        Some(found)
    }
}

/// As [`Yolov8::best_class`], with every class of an anchor that passes.
fn each_class(columns: &[f32], anchors: usize, options: &DetectOptions) -> Option<Vec<Detection>> {
    let (boxes, scores) = columns.split_at(BOX_ROWS * anchors);
    let mut found = Vec::new();
    for (class_id, scores) in (0..).zip(scores.chunks_exact(anchors)) {
        for (anchor, &confidence) in scores.iter().enumerate() {
            if confidence.is_nan() {
                return None;
            }
            if options.wants(class_id, confidence) {
                found.push(Detection { class_id, confidence, bbox: bbox(boxes, anchors, anchor)? });
            }
        }
    }
    Some(found)
}

/// The box of an anchor by its corners; `None` when it is no box.
fn bbox(boxes: &[f32], anchors: usize, anchor: usize) -> Option<BBox> {
    let [x, y, width, height] = [0, 1, 2, 3].map(|row| boxes[row * anchors + anchor]);
    BBox::from_centre(x, y, width, height)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two anchors and three classes: rows x, y, w, h, then the classes.
    const COLUMNS: [f32; 14] =
        [10.0, 50.0, 10.0, 50.0, 4.0, 20.0, 4.0, 20.0, 0.1, 0.2, 0.7, 0.3, 0.7, 0.9];

    fn best(columns: &[f32], options: &DetectOptions) -> Option<Vec<Detection>> {
        Yolov8::default().best_class(columns, 2, options)
    }

    #[test]
    fn an_anchor_has_its_best_class_and_a_box_in_corners() {
        let options = DetectOptions { confidence_threshold: 0.5, ..DetectOptions::default() };
        let expected = [
            Detection { class_id: 1, confidence: 0.7, bbox: BBox::new(8.0, 8.0, 12.0, 12.0) },
            Detection { class_id: 2, confidence: 0.9, bbox: BBox::new(40.0, 40.0, 60.0, 60.0) },
        ];
        assert_eq!(best(&COLUMNS, &options).unwrap(), expected);
        let each = each_class(&COLUMNS, 2, &options).unwrap();
        assert_eq!(each.iter().map(|d| d.class_id).collect::<Vec<_>>(), [1, 2, 2]);
        assert_eq!(each[1].bbox, expected[0].bbox);
    }

    #[test]
    fn thresholds_and_classes_filter() {
        let options = DetectOptions { confidence_threshold: 0.8, ..DetectOptions::default() };
        assert_eq!(best(&COLUMNS, &options).unwrap().len(), 1);
        let options = DetectOptions { classes: Some([1].into()), ..DetectOptions::default() };
        let found = best(&COLUMNS, &options).unwrap();
        assert_eq!(found.iter().map(|d| d.class_id).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for (at, value) in [(8, f32::NAN), (1, f32::NAN), (5, f32::INFINITY)] {
            let mut columns = COLUMNS;
            columns[at] = value;
            assert!(best(&columns, &DetectOptions::default()).is_none(), "{at}");
            assert!(each_class(&columns, 2, &DetectOptions::default()).is_none(), "{at}");
        }
    }
}
