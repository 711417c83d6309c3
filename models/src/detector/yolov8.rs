//! YOLOv8 (and what has its tensors): `images` batch × 3 × H × W in 0..=1 to `output0`
//! batch × (4 + classes) × anchors.
//!
//! Each anchor's column holds a box as centre x, centre y, width, height in input pixels and then
//! one score for each class; there is no objectness. Pictures are letterboxed, an anchor has its
//! best class, and boxes are suppressed class by class.

use std::sync::Arc;

use super::letterbox::{Letterbox, Placement};
use super::nms;
use crate::backend::{Element, Input, Session, SessionOptions};
use crate::manifest::ModelEntry;
use crate::{BBox, DetectOptions, Detection, Detector, Image, ModelError, Registry};

const FILE: &str = "model.onnx";
const INPUT: &str = "images";
const OUTPUT: &str = "output0";

/// The side of the input where neither the graph nor the manifest gives one, pixels.
const DEFAULT_SIDE: u32 = 640;

/// Pictures in one run at most, so that a long list does not need a tensor of its length.
const MAX_BATCH: usize = 16;

/// Rows of the output before the classes: the box.
const BOX_ROWS: usize = 4;

/// Opens the detector of a manifest entry.
pub(super) fn open(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn Detector>, ModelError> {
    let path = registry.file(entry, FILE)?;
    let session = Session::open(&entry.name, &path, options)?;
    Ok(Box::new(Yolov8::new(session, Arc::clone(&entry.labels), entry.input)?))
}

/// A YOLOv8 graph with its buffers.
struct Yolov8 {
    session: Session,
    labels: Arc<[String]>,
    /// (width, height) of the input, pixels.
    input: (u32, u32),
    max_batch: usize,
    letterbox: Letterbox,
    tensor: Vec<f32>,
    scan: Scan,
}

impl Yolov8 {
    fn new(
        session: Session,
        labels: Arc<[String]>,
        manifest_input: Option<(u32, u32)>,
    ) -> Result<Self, ModelError> {
        let images = session.expect_input(INPUT, Element::F32, &[None, Some(3), None, None])?;
        let (batch, height, width) = match images.shape[..] {
            [batch, _, height, width] => (batch, height, width),
            _ => (None, None, None),
        };
        session.expect_output(
            OUTPUT,
            Element::F32,
            &[None, Some(BOX_ROWS + labels.len()), None],
        )?;
        if let Some(batch) = batch.filter(|&batch| batch != 1) {
            return Err(ModelError::WrongTensors {
                name: session.name().into(),
                detail: format!("The batch must be 1 or open, the graph's is {batch}."),
            });
        }
        let default = manifest_input.unwrap_or((DEFAULT_SIDE, DEFAULT_SIDE));
        let side = |found: Option<usize>, default: u32| {
            found.and_then(|side| u32::try_from(side).ok()).unwrap_or(default)
        };
        let input = (side(width, default.0), side(height, default.1));
        let letterbox = Letterbox::new(input.0, input.1);
        let max_batch = if batch.is_some() { 1 } else { MAX_BATCH };
        let (tensor, scan) = (Vec::new(), Scan::default());
        Ok(Self { session, labels, input, max_batch, letterbox, tensor, scan })
    }

    /// One run on at most `max_batch` pictures.
    fn detect_batch(
        &mut self,
        images: &[(&Image, &DetectOptions)],
    ) -> Result<Vec<Vec<Detection>>, ModelError> {
        let picture_len = self.letterbox.tensor_len();
        self.tensor.resize(images.len() * picture_len, 0.0);
        let mut placements = Vec::with_capacity(images.len());
        for ((image, _), tensor) in images.iter().zip(self.tensor.chunks_exact_mut(picture_len)) {
            placements.push(self.letterbox.fill(image, tensor)?);
        }
        let name = self.session.name().to_owned();
        let shape = [images.len(), 3, self.input.1 as usize, self.input.0 as usize];
        let outputs = self.session.run(&[Input::f32(INPUT, &shape, &self.tensor)])?;
        let (shape, data) = outputs.f32(OUTPUT)?;
        let rows = BOX_ROWS + self.labels.len();
        let anchors = match shape[..] {
            [batch, found, anchors] if batch == images.len() && found == rows => anchors,
            _ => {
                let detail = format!("the run gave \"{OUTPUT}\" of shape {shape:?}");
                return Err(ModelError::Run { name, detail });
            }
        };
        let mut answers = Vec::with_capacity(images.len());
        for (i, ((image, options), placement)) in images.iter().zip(placements).enumerate() {
            let columns = &data[i * rows * anchors..][..rows * anchors];
            let Some(found) = self.scan.candidates(columns, anchors, options) else {
                return Err(ModelError::Run { name, detail: "the scores have NaN in them".into() });
            };
            answers.push(finish(found, image, options, placement));
        }
        Ok(answers)
    }
}

impl Detector for Yolov8 {
    fn labels(&self) -> &Arc<[String]> {
        &self.labels
    }

    fn detect(
        &mut self,
        images: &[(&Image, &DetectOptions)],
    ) -> Result<Vec<Vec<Detection>>, ModelError> {
        let mut answers = Vec::with_capacity(images.len());
        for batch in images.chunks(self.max_batch) {
            answers.append(&mut self.detect_batch(batch)?);
        }
        Ok(answers)
    }
}

/// The best class of each anchor, in buffers that are kept.
#[derive(Default)]
struct Scan {
    confidence: Vec<f32>,
    class_id: Vec<u32>,
}

impl Scan {
    /// The anchors of one picture that pass the options, with boxes in input pixels; `None` when a
    /// score or one of their boxes is no number. `columns` is (4 + classes) × anchors.
    ///
    /// Goes class by class over all anchors: that way memory is read in order and the compiler
    /// makes vector instructions of it.
    fn candidates(
        &mut self,
        columns: &[f32],
        anchors: usize,
        options: &DetectOptions,
    ) -> Option<Vec<Detection>> {
        self.confidence.clear();
        self.confidence.resize(anchors, f32::NEG_INFINITY);
        self.class_id.clear();
        self.class_id.resize(anchors, 0);
        let (boxes, scores) = columns.split_at(BOX_ROWS * anchors);
        let mut nan = 0;
        for (class_id, scores) in (0..).zip(scores.chunks_exact(anchors)) {
            let best = self.confidence.iter_mut().zip(&mut self.class_id);
            for ((confidence, best_id), &score) in best.zip(scores) {
                let better = score > *confidence;
                *confidence = if better { score } else { *confidence };
                *best_id = if better { class_id } else { *best_id };
                nan |= u32::from(score.is_nan());
            }
        }
        if nan != 0 {
            return None;
        }
        let mut found = Vec::new();
        for (anchor, (&confidence, &class_id)) in
            self.confidence.iter().zip(&self.class_id).enumerate()
        {
            let wanted = confidence >= options.confidence_threshold
                && options.classes.as_ref().is_none_or(|classes| classes.contains(&class_id));
            if wanted {
                let [x, y, width, height] = [0, 1, 2, 3].map(|row| boxes[row * anchors + anchor]);
                let (half_width, half_height) = (width / 2.0, height / 2.0);
                let bbox =
                    BBox::new(x - half_width, y - half_height, x + half_width, y + half_height);
                if !(x + y + width + height).is_finite() {
                    return None;
                }
                found.push(Detection { class_id, confidence, bbox });
            }
        }
        Some(found)
    }
}

/// Suppresses, and leads the remaining boxes back to the picture.
fn finish(
    candidates: Vec<Detection>,
    image: &Image,
    options: &DetectOptions,
    placement: Placement,
) -> Vec<Detection> {
    let (width, height) = (image.width() as f32, image.height() as f32);
    let mut kept = nms::suppress(candidates, options.iou_threshold, options.max_detections);
    for detection in &mut kept {
        detection.bbox = placement.to_picture(detection.bbox).clipped(width, height);
    }
    // A box that lies in the border only has nothing left.
    kept.retain(|detection| detection.bbox.area() > 0.0);
    // Clipping can change the order of ties.
    kept.sort_by(nms::by_confidence);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two anchors and three classes: rows x, y, w, h, then the classes.
    const COLUMNS: [f32; 14] =
        [10.0, 50.0, 10.0, 50.0, 4.0, 20.0, 4.0, 20.0, 0.1, 0.2, 0.7, 0.3, 0.7, 0.9];

    #[test]
    fn an_anchor_has_its_best_class_and_a_box_in_corners() {
        let options = DetectOptions { confidence_threshold: 0.5, ..DetectOptions::default() };
        let found = Scan::default().candidates(&COLUMNS, 2, &options).unwrap();
        let expected = [
            Detection { class_id: 1, confidence: 0.7, bbox: BBox::new(8.0, 8.0, 12.0, 12.0) },
            Detection { class_id: 2, confidence: 0.9, bbox: BBox::new(40.0, 40.0, 60.0, 60.0) },
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn thresholds_and_classes_filter() {
        let options = DetectOptions { confidence_threshold: 0.8, ..DetectOptions::default() };
        assert_eq!(Scan::default().candidates(&COLUMNS, 2, &options).unwrap().len(), 1);
        let options = DetectOptions { classes: Some([1].into()), ..DetectOptions::default() };
        let found = Scan::default().candidates(&COLUMNS, 2, &options).unwrap();
        assert_eq!(found.iter().map(|d| d.class_id).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let mut columns = COLUMNS;
        columns[8] = f32::NAN;
        assert!(Scan::default().candidates(&columns, 2, &DetectOptions::default()).is_none());
        let mut columns = COLUMNS;
        columns[1] = f32::NAN;
        assert!(Scan::default().candidates(&columns, 2, &DetectOptions::default()).is_none());
    }
}
