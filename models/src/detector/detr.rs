//! DETR-like transformers without suppression: RT-DETR (Zhao et al. 2023, arXiv:2304.08069), D-FINE
//! (Peng et al. 2024, arXiv:2410.13842), RF-DETR (Robinson et al. 2025, arXiv:2511.09554).
//!
//! A picture is stretched to the input. Each query has a box (centre x, centre y, width, height in
//! 0..=1 of the picture) and a logit for each class, whose sigmoid is the confidence; of all pairs
//! of query and class the most confident are kept, as many as there are queries. Two sets of
//! tensors are known, told apart by the input's name:
//!
//! | input | range | boxes | logits | exported by |
//! | --- | --- | --- | --- | --- |
//! | `pixel_values` | 0..=1 | `pred_boxes` | `logits` | transformers, for RT-DETR and D-FINE |
//! | `input` | ImageNet's mean and deviation | `dets` | `labels` | RF-DETR's own export |
//!
//! The first set is scaled with a filter that takes in all pixels, as Pillow's `BILINEAR`, the
//! second one with two by two neighbours. RF-DETR may have one class more than there are labels,
//! the last: the background. Its COCO weights have COCO's own ids instead (label set `coco91-id`).

use super::grid::{self, Family, Run, Tensors};
use super::letterbox::{Fit, Order, Place};
use super::nms;
use crate::backend::{Outputs, Session, SessionOptions};
use crate::image::Filter;
use crate::manifest::ModelEntry;
use crate::{BBox, DetectOptions, Detection, Detector, ModelError, Registry};

/// A set of tensors.
struct Variant {
    input: &'static str,
    boxes: &'static str,
    logits: &'static str,
    filter: Filter,
    mean: [f32; 3],
    deviation: [f32; 3],
}

impl Variant {
    /// Whether the last class may be the background.
    fn has_background(&self) -> bool {
        self.logits == "labels"
    }
}

const VARIANTS: [Variant; 2] = [
    Variant {
        input: "pixel_values",
        boxes: "pred_boxes",
        logits: "logits",
        filter: Filter::Triangle,
        mean: [0.0; 3],
        deviation: [1.0; 3],
    },
    Variant {
        input: "input",
        boxes: "dets",
        logits: "labels",
        filter: Filter::Bilinear,
        mean: [0.485, 0.456, 0.406],
        deviation: [0.229, 0.224, 0.225],
    },
];

/// Opens the detector of a manifest entry.
pub(super) fn open(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn Detector>, ModelError> {
    grid::open::<Detr>(registry, entry, options)
}

#[derive(Default)]
struct Detr;

impl Family for Detr {
    const PLACE: Place = Place::Stretch;
    const STRIDE: u32 = 32;
    const DEFAULT_SIZE: u32 = 640;
    const SUPPRESSES: bool = false;

    fn check(session: &Session, labels: &[String]) -> Result<Tensors, ModelError> {
        let has = |variant: &&Variant| session.inputs().iter().any(|at| at.name == variant.input);
        let variant = VARIANTS.iter().find(has).unwrap_or(&VARIANTS[0]);
        grid::expect_floats(session, variant.boxes, &[None, None, Some(4)])?;
        let of_classes = |count| [None, None, Some(count)];
        let exact = grid::expect_floats(session, variant.logits, &of_classes(labels.len()));
        if variant.has_background() {
            let wider = of_classes(labels.len() + 1);
            grid::expect_floats(session, variant.logits, &wider).or(exact)?;
        } else {
            exact?;
        }
        let divisor = variant.deviation.map(|deviation| 255.0 * deviation);
        let shift = |plane: usize| -variant.mean[plane] / variant.deviation[plane];
        let offset = [shift(0), shift(1), shift(2)];
        let fit =
            Fit { place: Self::PLACE, filter: variant.filter, order: Order::Rgb, divisor, offset };
        Ok(Tensors { input: variant.input, fit })
    }

    fn candidates(
        &mut self,
        outputs: &Outputs<'_>,
        run: &Run<'_>,
    ) -> Result<Vec<Vec<Detection>>, ModelError> {
        let variant = &VARIANTS[usize::from(!outputs.has(VARIANTS[0].logits))];
        let (logits_shape, logits) = outputs.floats(variant.logits)?;
        let (boxes_shape, boxes) = outputs.floats(variant.boxes)?;
        let labels = run.labels.len();
        let fits = |found| found == labels || variant.has_background() && found == labels + 1;
        let (queries, classes) = match (&logits_shape[..], &boxes_shape[..]) {
            (&[batch, queries, found], &[_, of_boxes, 4])
                if batch >= run.options.len() && queries == of_boxes && fits(found) =>
            {
                (queries, found)
            }
            _ => {
                let detail = format!("the run gave logits {logits_shape:?}, boxes {boxes_shape:?}");
                return Err(run.wrong(detail));
            }
        };
        let logits = logits.chunks_exact((queries * classes).max(1));
        let boxes = boxes.as_chunks::<4>().0.chunks_exact(queries.max(1));
        let mut answers = Vec::with_capacity(run.options.len());
        for ((logits, boxes), options) in logits.zip(boxes).zip(&run.options) {
            let found = decode(logits, boxes, (classes, run.labels), run.size, options);
            answers.push(found.ok_or_else(|| run.wrong("a logit or box is no number"))?);
        }
        Ok(answers)
    }
}

/// The most confident pairs of query and class that pass the options, with boxes in input pixels;
/// `None` when a number is none. A class without a label, or with an empty one, is none.
fn decode(
    logits: &[f32],
    boxes: &[[f32; 4]],
    (classes, labels): (usize, &[String]),
    (width, height): (u32, u32),
    options: &DetectOptions,
) -> Option<Vec<Detection>> {
    let (width, height) = (width as f32, height as f32);
    let mut found = Vec::new();
    for (logits, &[x, y, w, h]) in logits.chunks_exact(classes.max(1)).zip(boxes) {
        for (class_id, &logit) in (0_u32..).zip(logits) {
            if logit.is_nan() {
                return None;
            }
            let confidence = 1.0 / (1.0 + (-logit).exp());
            let named = labels.get(class_id as usize).is_some_and(|label| !label.is_empty());
            if named && confidence >= options.confidence_threshold {
                let bbox = BBox::from_centre(x * width, y * height, w * width, h * height)?;
                found.push(Detection { class_id, confidence, bbox });
            }
        }
    }
    found.sort_by(nms::by_confidence);
    found.truncate(boxes.len());
    found.retain(|detection| options.wants(detection.class_id, detection.confidence));
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOXES: [[f32; 4]; 2] = [[0.5, 0.5, 1.0, 0.5], [0.25, 0.5, 0.5, 1.0]];

    fn labels() -> [String; 2] {
        ["cat", "dog"].map(String::from)
    }

    #[test]
    fn the_background_and_unused_ids_are_no_classes() {
        let options = DetectOptions::default();
        let logits = [1.0, 2.0, 9.0, 1.5, 0.0, 9.0];
        let found = decode(&logits, &BOXES, (3, &labels()), (1, 1), &options).unwrap();
        assert_eq!(found.iter().map(|d| d.class_id).collect::<Vec<_>>(), [1, 0]);
        let unused = [String::new(), "dog".into()];
        let found = decode(&logits, &BOXES, (3, &unused), (1, 1), &options).unwrap();
        assert_eq!(found.iter().map(|d| d.class_id).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn the_most_confident_pairs_are_kept() {
        // The first query has two good classes; there are no more detections than queries.
        let logits = [2.0, 3.0, 0.0, 1.0];
        let options = DetectOptions { confidence_threshold: 0.5, ..DetectOptions::default() };
        let found = decode(&logits, &BOXES, (2, &labels()), (100, 40), &options).unwrap();
        assert_eq!(found.iter().map(|d| d.class_id).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(found[0].bbox, BBox::new(0.0, 10.0, 100.0, 30.0));
        assert!((found[0].confidence - 0.952_574_1).abs() < 1e-6);
        let second = DetectOptions { classes: Some([0].into()), ..options };
        let found = decode(&logits, &BOXES, (2, &labels()), (100, 40), &second).unwrap();
        assert_eq!(found.len(), 1, "classes are chosen after the best are");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let options = DetectOptions::default();
        let nan = [2.0, f32::NAN, 0.0, 0.0];
        assert!(decode(&nan, &BOXES, (2, &labels()), (1, 1), &options).is_none());
        let boxes = [[0.5, f32::NAN, 0.1, 0.1], BOXES[1]];
        assert!(decode(&[2.0, 0.0, 0.0, 0.0], &boxes, (2, &labels()), (1, 1), &options).is_none());
    }
}
