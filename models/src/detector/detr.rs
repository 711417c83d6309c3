//! DETR-like transformers without suppression: RT-DETR (Zhao et al. 2023, arXiv:2304.08069), D-FINE
//! (Peng et al. 2024, arXiv:2410.13842), RF-DETR (Robinson et al. 2025, arXiv:2511.09554).
//!
//! A picture is stretched to the input. Each query has a box (centre x, centre y, width, height in
//! 0..=1 of the picture) and a logit for each class, whose sigmoid is the confidence; of all pairs
//! of query and class the most confident are kept, as many as there are queries. Three sets of
//! tensors are known, told apart by the inputs' names:
//!
//! | inputs | range | boxes | classes | exported by |
//! | --- | --- | --- | --- | --- |
//! | `pixel_values` | 0..=1 | `pred_boxes` | `logits` | transformers, for RT-DETR and D-FINE |
//! | `input` | ImageNet's mean and deviation | `dets` | `labels` | RF-DETR's own export |
//! | `images`, `orig_target_sizes` | 0..=1 | `boxes` | `labels`, `scores` | RT-DETR and D-FINE |
//!
//! Graphs of the last set keep the most confident pairs themselves: `labels` are class ids, `scores`
//! confidences, and `boxes` corners in a picture of the (width, height) that `orig_target_sizes` says.
//!
//! RF-DETR's pictures are scaled with two by two neighbours, the others' with a filter that takes in
//! all pixels, as Pillow's `BILINEAR`. RF-DETR may have one class more than there are labels,
//! the last: the background. Its COCO weights have COCO's own ids instead (label set `coco91-id`).

use super::grid::{self, Family, Run, Tensors};
use super::letterbox::{Fit, Order, Place};
use super::nms;
use crate::backend::{Element, Outputs, Session, SessionOptions};
use crate::image::Filter;
use crate::manifest::ModelEntry;
use crate::{BBox, DetectOptions, Detection, Detector, ModelError, Registry};

/// A set of tensors.
struct Variant {
    input: &'static str,
    /// The input for the size that boxes are to be in.
    sizes: Option<&'static str>,
    boxes: &'static str,
    classes: Classes,
    filter: Filter,
    mean: [f32; 3],
    deviation: [f32; 3],
}

/// What says of which class a box is.
enum Classes {
    /// An output with a logit for each query and class. With `background` there may be one class
    /// more than labels, the last, which is none.
    Logits { output: &'static str, background: bool },
    /// The graph has chosen: an output with class ids and one with confidences.
    Chosen { ids: &'static str, scores: &'static str },
}

const VARIANTS: [Variant; 3] = [
    Variant {
        input: "pixel_values",
        sizes: None,
        boxes: "pred_boxes",
        classes: Classes::Logits { output: "logits", background: false },
        filter: Filter::Triangle,
        mean: [0.0; 3],
        deviation: [1.0; 3],
    },
    Variant {
        input: "input",
        sizes: None,
        boxes: "dets",
        classes: Classes::Logits { output: "labels", background: true },
        filter: Filter::Bilinear,
        mean: [0.485, 0.456, 0.406],
        deviation: [0.229, 0.224, 0.225],
    },
    Variant {
        input: "images",
        sizes: Some("orig_target_sizes"),
        boxes: "boxes",
        classes: Classes::Chosen { ids: "labels", scores: "scores" },
        filter: Filter::Triangle,
        mean: [0.0; 3],
        deviation: [1.0; 3],
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
        let has = |name: &str| session.inputs().iter().any(|input| input.name == name);
        let fits = |variant: &&Variant| has(variant.input) && variant.sizes.is_none_or(has);
        let variant = VARIANTS.iter().find(fits).unwrap_or(&VARIANTS[0]);
        grid::expect_floats(session, variant.boxes, &[None, None, Some(4)])?;
        match variant.classes {
            Classes::Logits { output, background } => {
                let of_classes = |count| [None, None, Some(count)];
                let exact = grid::expect_floats(session, output, &of_classes(labels.len()));
                if background {
                    let wider = of_classes(labels.len() + 1);
                    grid::expect_floats(session, output, &wider).or(exact)?;
                } else {
                    exact?;
                }
            }
            Classes::Chosen { ids, scores } => {
                session.expect_output(ids, Element::I64, &[None, None])?;
                grid::expect_floats(session, scores, &[None, None])?;
            }
        }
        if let Some(sizes) = variant.sizes {
            session.expect_input(sizes, Element::I64, &[None, Some(2)])?;
        }
        let divisor = variant.deviation.map(|deviation| 255.0 * deviation);
        let shift = |plane: usize| -variant.mean[plane] / variant.deviation[plane];
        let offset = [shift(0), shift(1), shift(2)];
        let fit =
            Fit { place: Self::PLACE, filter: variant.filter, order: Order::Rgb, divisor, offset };
        Ok(Tensors { input: variant.input, sizes: variant.sizes, fit })
    }

    fn candidates(
        &mut self,
        outputs: &Outputs<'_>,
        run: &Run<'_>,
    ) -> Result<Vec<Vec<Detection>>, ModelError> {
        let variant = VARIANTS.iter().find(|variant| outputs.has(variant.boxes));
        let variant = variant.unwrap_or(&VARIANTS[0]);
        match variant.classes {
            Classes::Logits { output, background } => {
                from_logits(outputs, run, (variant.boxes, output), background)
            }
            Classes::Chosen { ids, scores } => {
                from_chosen(outputs, run, (variant.boxes, ids, scores))
            }
        }
    }
}

/// The candidates of graphs with logits.
fn from_logits(
    outputs: &Outputs<'_>,
    run: &Run<'_>,
    (boxes, logits): (&str, &str),
    background: bool,
) -> Result<Vec<Vec<Detection>>, ModelError> {
    let (logits_shape, logits) = outputs.floats(logits)?;
    let (boxes_shape, boxes) = outputs.floats(boxes)?;
    let labels = run.labels.len();
    let fits = |found| found == labels || background && found == labels + 1;
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

/// The candidates of graphs that have chosen.
fn from_chosen(
    outputs: &Outputs<'_>,
    run: &Run<'_>,
    (boxes, ids, scores): (&str, &str, &str),
) -> Result<Vec<Vec<Detection>>, ModelError> {
    let (ids_shape, ids) = outputs.i64(ids)?;
    let (boxes_shape, boxes) = outputs.floats(boxes)?;
    let (scores_shape, scores) = outputs.floats(scores)?;
    let kept = match (&ids_shape[..], &boxes_shape[..], &scores_shape[..]) {
        (&[batch, kept], &[_, of_boxes, 4], &[_, of_scores])
            if batch >= run.options.len() && kept == of_boxes && kept == of_scores =>
        {
            kept.max(1)
        }
        _ => {
            return Err(run.wrong(format!(
                "the run gave labels {ids_shape:?}, boxes {boxes_shape:?}, scores {scores_shape:?}"
            )));
        }
    };
    let boxes = boxes.as_chunks::<4>().0.chunks_exact(kept);
    let pictures = ids.chunks_exact(kept).zip(boxes).zip(scores.chunks_exact(kept));
    let mut answers = Vec::with_capacity(run.options.len());
    for (((ids, boxes), scores), options) in pictures.zip(&run.options) {
        let found = chosen((ids, boxes, scores), run.labels, options);
        answers.push(found.map_err(|detail| run.wrong(detail))?);
    }
    Ok(answers)
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

/// What a graph has chosen and the options let pass, with boxes in input pixels. A class with an
/// empty label is none; one beyond the labels means that they are another network's.
fn chosen(
    (ids, boxes, scores): (&[i64], &[[f32; 4]], &[f32]),
    labels: &[String],
    options: &DetectOptions,
) -> Result<Vec<Detection>, String> {
    let mut found = Vec::new();
    for ((&id, &[x1, y1, x2, y2]), &confidence) in ids.iter().zip(boxes).zip(scores) {
        if !(x1 + y1 + x2 + y2 + confidence).is_finite() {
            return Err("a score or box is no number".into());
        }
        let known = u32::try_from(id).ok().and_then(|id| Some((id, labels.get(id as usize)?)));
        let Some((class_id, label)) = known else {
            return Err(format!("the run gave class {id}, there are {} labels", labels.len()));
        };
        if !label.is_empty() && options.wants(class_id, confidence) {
            found.push(Detection { class_id, confidence, bbox: BBox::new(x1, y1, x2, y2) });
        }
    }
    Ok(found)
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
    fn what_a_graph_chose_is_filtered_by_label_and_option() {
        let corners = [[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 9.0, 9.0], [5.0, 5.0, 6.0, 6.0]];
        let named = ["cat".into(), String::new(), "dog".into()];
        let options = DetectOptions { confidence_threshold: 0.5, ..DetectOptions::default() };
        let found = chosen((&[2, 1, 0], &corners, &[0.9, 0.8, 0.4]), &named, &options).unwrap();
        let bbox = BBox::new(1.0, 2.0, 3.0, 4.0);
        assert_eq!(found, [Detection { class_id: 2, confidence: 0.9, bbox }]);
    }

    #[test]
    fn what_a_graph_cannot_have_chosen_is_refused() {
        let (options, corners) = (DetectOptions::default(), [[0.0, 0.0, 1.0, 1.0]]);
        for id in [2, -1, i64::MAX] {
            let error = chosen((&[id], &corners, &[0.9]), &labels(), &options).unwrap_err();
            assert_eq!(error, format!("the run gave class {id}, there are 2 labels"));
        }
        assert!(chosen((&[0], &corners, &[f32::NAN]), &labels(), &options).is_err());
        let infinite = [[0.0, 0.0, f32::INFINITY, 1.0]];
        assert!(chosen((&[0], &infinite, &[0.9]), &labels(), &options).is_err());
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
