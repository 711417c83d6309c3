//! SSD of TensorFlow's detection API, converted to ONNX: `image_tensor:0` batch × H × W × 3 bytes
//! to four outputs, with scaling and suppression inside the graph.
//!
//! The graph's classes are COCO's 91, from 1; a [`Detection`]'s class id is one less, so that it is
//! an index into the labels. Names that COCO never used are empty there, and a box of such a class
//! is dropped. Boxes are `ymin, xmin, ymax, xmax` in 0..=1 of the picture.

use std::sync::Arc;

use super::nms;
use crate::backend::{Element, Input, Outputs, RunsOn, Session, SessionOptions};
use crate::manifest::ModelEntry;
use crate::{BBox, DetectOptions, Detection, Detector, Image, ModelError, Registry};

const FILE: &str = "model.onnx";
const INPUT: &str = "image_tensor:0";
const COUNT: &str = "num_detections:0";
const BOXES: &str = "detection_boxes:0";
const SCORES: &str = "detection_scores:0";
const CLASSES: &str = "detection_classes:0";

/// Opens the detector of a manifest entry.
pub(super) fn open(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn Detector>, ModelError> {
    if options.half_precision {
        let detail = format!("Its only graph, {FILE}, is float32.");
        return Err(unsupported(&entry.name, "half_precision", "true", &detail));
    }
    let path = registry.file(entry, FILE)?;
    let session = Session::open(&entry.name, &path, options)?;
    session.expect_input(INPUT, Element::U8, &[None, None, None, Some(3)])?;
    session.expect_output(COUNT, Element::F32, &[None])?;
    session.expect_output(BOXES, Element::F32, &[None, None, Some(4)])?;
    session.expect_output(SCORES, Element::F32, &[None, None])?;
    session.expect_output(CLASSES, Element::F32, &[None, None])?;
    Ok(Box::new(Ssd { session, labels: Arc::clone(&entry.labels) }))
}

fn unsupported(name: &str, option: &'static str, value: &str, detail: &str) -> ModelError {
    let (name, value, detail) = (name.to_owned(), value.to_owned(), detail.to_owned());
    ModelError::Unsupported { name, option, value, detail }
}

/// An SSD graph.
struct Ssd {
    session: Session,
    labels: Arc<[String]>,
}

impl Detector for Ssd {
    fn labels(&self) -> &Arc<[String]> {
        &self.labels
    }

    fn runs_on(&self) -> &RunsOn {
        self.session.runs_on()
    }

    fn prepare(
        &mut self,
        _picture: (u32, u32),
        options: &DetectOptions,
        batch_size: usize,
    ) -> Result<(), ModelError> {
        let name = self.session.name();
        if let Some(size) = options.image_size {
            let detail = "The graph takes pictures of any size and scales them by itself.";
            return Err(unsupported(name, "image_size", &size.to_string(), detail));
        }
        if options.augment {
            let detail = "The graph suppresses by itself, so views cannot be merged before.";
            return Err(unsupported(name, "augment", "true", detail));
        }
        if batch_size > 1 {
            let detail = "It takes one picture at a time.";
            return Err(unsupported(name, "batch_size", &batch_size.to_string(), detail));
        }
        Ok(())
    }

    /// One run for each picture: the graph scales by itself, so pictures go in as they are, and
    /// those of different sizes do not make one tensor.
    fn detect(
        &mut self,
        images: &[(&Image, &DetectOptions)],
    ) -> Result<Vec<Vec<Detection>>, ModelError> {
        let mut answers = Vec::with_capacity(images.len());
        for (image, options) in images {
            let name = self.session.name().to_owned();
            let shape = [1, image.height() as usize, image.width() as usize, 3];
            let outputs = self.session.run(&[Input::u8(INPUT, &shape, image.rgb())])?;
            let raw = Raw::of(&outputs, &name)?;
            let size = (image.width() as f32, image.height() as f32);
            let candidates = raw
                .candidates(&self.labels, size, options)
                .map_err(|detail| ModelError::Run { name, detail })?;
            answers.push(nms::suppress(candidates, options.iou_threshold, options.max_detections));
        }
        Ok(answers)
    }
}

/// The outputs for one picture, cut to the number of detections.
struct Raw<'a> {
    boxes: &'a [[f32; 4]],
    scores: &'a [f32],
    classes: &'a [f32],
}

impl<'a> Raw<'a> {
    fn of(outputs: &'a Outputs<'_>, name: &str) -> Result<Self, ModelError> {
        let count = outputs.f32(COUNT)?.1.first().copied().unwrap_or(f32::NAN);
        if !count.is_finite() {
            let detail = "the number of detections is no number".into();
            return Err(ModelError::Run { name: name.into(), detail });
        }
        let boxes = outputs.f32(BOXES)?.1.as_chunks().0;
        let (scores, classes) = (outputs.f32(SCORES)?.1, outputs.f32(CLASSES)?.1);
        let count = count as usize;
        if boxes.len() < count || scores.len() < count || classes.len() < count {
            let detail = format!("the run says {count} detections and gave fewer");
            return Err(ModelError::Run { name: name.into(), detail });
        }
        Ok(Self { boxes: &boxes[..count], scores: &scores[..count], classes: &classes[..count] })
    }

    /// The boxes that pass the options, in pixels of a picture of `size` (width, height), clipped.
    ///
    /// # Errors
    /// A clause: a number is none, or a class is beyond the labels, which then are another network's.
    fn candidates(
        &self,
        labels: &[String],
        (width, height): (f32, f32),
        options: &DetectOptions,
    ) -> Result<Vec<Detection>, String> {
        let mut found = Vec::new();
        let rows = self.boxes.iter().zip(self.scores).zip(self.classes);
        for ((&[y1, x1, y2, x2], &confidence), &class) in rows {
            if !(y1 + x1 + y2 + x2 + confidence + class).is_finite() {
                return Err("a score or box is no number".into());
            }
            // A class 0 would be the background, which no label stands for.
            let Some(class_id) = (class as u32).checked_sub(1) else { continue };
            let Some(label) = labels.get(class_id as usize) else {
                return Err(format!(
                    "the run gave class {class}, there are {} labels",
                    labels.len()
                ));
            };
            let wanted = options.classes.as_ref().is_none_or(|ids| ids.contains(&class_id));
            let bbox =
                BBox::new(x1 * width, y1 * height, x2 * width, y2 * height).clipped(width, height);
            let confident = confidence >= options.confidence_threshold;
            if !label.is_empty() && wanted && confident && bbox.area() > 0.0 {
                found.push(Detection { class_id, confidence, bbox });
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_turned_scaled_and_clipped() {
        let labels = ["person", ""].map(String::from);
        let raw = Raw {
            boxes: &[[0.25, 0.1, 0.75, 0.5], [-0.1, 0.5, 0.5, 1.2], [0.0, 0.0, 1.0, 1.0]],
            scores: &[0.9, 0.6, 0.8],
            classes: &[1.0, 1.0, 2.0],
        };
        let options = DetectOptions::default();
        let found = raw.candidates(&labels, (100.0, 40.0), &options).unwrap();
        let expected = [
            Detection { class_id: 0, confidence: 0.9, bbox: BBox::new(10.0, 10.0, 50.0, 30.0) },
            Detection { class_id: 0, confidence: 0.6, bbox: BBox::new(50.0, 0.0, 100.0, 20.0) },
        ];
        assert_eq!(found, expected, "the class without a name is dropped");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let raw = Raw { boxes: &[[0.0, 0.0, f32::NAN, 1.0]], scores: &[0.9], classes: &[1.0] };
        let labels = ["person".to_owned()];
        let found = raw.candidates(&labels, (1.0, 1.0), &DetectOptions::default());
        assert_eq!(found, Err("a score or box is no number".into()));
    }

    /// Also of a class that is not confident: labels of another network show before it finds something.
    #[test]
    fn a_class_beyond_the_labels_is_refused() {
        let raw = Raw { boxes: &[[0.0, 0.0, 1.0, 1.0]], scores: &[0.01], classes: &[2.0] };
        let labels = ["person".to_owned()];
        let found = raw.candidates(&labels, (1.0, 1.0), &DetectOptions::default());
        assert_eq!(found, Err("the run gave class 2, there are 1 labels".into()));
    }
}
