//! Detection: a picture goes in, boxes with classes and confidences come out.

use std::sync::Arc;

use crate::backend::{RunsOn, SessionOptions};
use crate::manifest::ModelEntry;
use crate::{BBox, Image, ModelError, Registry};

mod detr;
mod grid;
mod inputs;
mod letterbox;
mod nms;
mod preprocess;
mod ssd;
mod yolov8;
mod yolox;

pub use self::preprocess::Letterboxer;

/// One detected object, in the pixels of the picture that went in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Index into the model's labels.
    pub class_id: u32,
    /// The model's score, 0..=1.
    pub confidence: f32,
    /// Where it is, clipped to the picture.
    pub bbox: BBox,
}

/// How one picture is to be detected.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectOptions {
    /// Boxes below this confidence are dropped (0..=1).
    pub confidence_threshold: f32,
    /// Of two boxes of a class that overlap by more than this IoU, the less confident is dropped.
    pub iou_threshold: f32,
    /// At most so many boxes are kept, the most confident first.
    pub max_detections: usize,
    /// Class ids to keep; `None` keeps all.
    pub classes: Option<Arc<[u32]>>,
    /// The longer side of the network's input, pixels; `None` is the model's own (640 for YOLOv8).
    pub image_size: Option<u32>,
    /// Whether a picture goes into the input with the least padding; else into a square one.
    pub rect: bool,
    /// Whether the picture is shown three times, mirrored and smaller, too, and what was found is
    /// merged by suppression (test-time augmentation).
    pub augment: bool,
    /// Whether a place in the picture may be of several classes, as when a model's precision is
    /// measured; else it is of its best one.
    pub multi_label: bool,
}

impl DetectOptions {
    /// Whether a box of this class and confidence is to be kept.
    pub(crate) fn wants(&self, class_id: u32, confidence: f32) -> bool {
        confidence >= self.confidence_threshold
            && self.classes.as_ref().is_none_or(|classes| classes.contains(&class_id))
    }
}

impl Default for DetectOptions {
    /// The guide's values: 0.5, 0.45, 300, all classes; the least padding, no augmentation.
    fn default() -> Self {
        Self {
            confidence_threshold: 0.5,
            iou_threshold: 0.45,
            max_detections: 300,
            classes: None,
            image_size: None,
            rect: true,
            augment: false,
            multi_label: false,
        }
    }
}

/// A network that finds objects. One family a file, below `detector/`.
pub trait Detector: Send {
    /// The class names, by class id.
    fn labels(&self) -> &Arc<[String]>;

    /// The device that it runs on, and why.
    fn runs_on(&self) -> &RunsOn;

    /// Loads what pictures of this (width, height) need and checks that the options and a batch of
    /// `batch_size` can be had, before the first picture comes.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] when the model's files cannot do it, or why a file cannot be
    /// loaded.
    fn prepare(
        &mut self,
        picture: (u32, u32),
        options: &DetectOptions,
        batch_size: usize,
    ) -> Result<(), ModelError>;

    /// Detects in each picture; the answers are in the order of the pictures, each sorted by
    /// falling confidence (ties: class id, then x1, then y1).
    ///
    /// # Errors
    /// [`ModelError::Run`] when the network fails or gives a number that is none: a network that
    /// does so is broken, and what else it says of the picture is not to be trusted.
    /// [`ModelError::Unsupported`] for options that [`Detector::prepare`] refuses.
    fn detect(
        &mut self,
        images: &[(&Image, &DetectOptions)],
    ) -> Result<Vec<Vec<Detection>>, ModelError>;
}

/// Opens a detector of one family.
pub(crate) type Open =
    fn(&Registry, &ModelEntry, SessionOptions) -> Result<Box<dyn Detector>, ModelError>;

/// The families of detectors, by the names that a manifest gives them.
pub(crate) const FAMILIES: [(&str, Open); 4] =
    [("yolov8", yolov8::open), ("yolox", yolox::open), ("detr", detr::open), ("ssd", ssd::open)];

/// Opens the detector of a manifest entry and checks its tensors.
///
/// # Errors
/// [`ModelError::MissingFiles`], [`ModelError::BadFile`] or [`ModelError::WrongTensors`] when its
/// graph is not there or not of its family, [`ModelError::Runtime`] without ONNX Runtime,
/// [`ModelError::Manifest`] when there is no such family.
pub fn open_detector(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn Detector>, ModelError> {
    let open = crate::family::find(&FAMILIES, "detector", entry)?;
    open(registry, entry, options)
}
