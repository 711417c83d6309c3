//! Models: pictures and texts go in; boxes, sentences and vectors come out.
//!
//! Here are the traits ([`Detector`], [`ReId`], [`Captioner`],
//! [`Embedder`], [`Reranker`], [`Linker`]), their ONNX implementations
//! (one file a family), the [`InferenceService`] that runs them on threads of its own, and the
//! manifest that says where models come from. No SQL, no dataflow, no video.

pub mod backend;
mod captioner;
mod custom;
mod detector;
mod embedder;
mod error;
mod family;
pub mod fetch;
mod geometry;
mod image;
mod labels;
mod linker;
pub mod manifest;
mod registry;
mod reid;
mod reranker;
mod service;
mod vector;

pub use crate::captioner::{
    Caption, CaptionOptions, Captioner, EarlyStopping, Sampling, open_captioner,
};
pub use crate::custom::{ModelOrigin, ModelPlaces, NewModel, NewModelOptions};
pub use crate::detector::{DetectOptions, Detection, Detector, Letterboxer, open_detector};
pub use crate::embedder::{EmbedOptions, Embedder, open_embedder};
pub use crate::error::ModelError;
pub use crate::geometry::BBox;
pub use crate::image::Image;
pub use crate::labels::{label_set, label_set_names};
pub use crate::linker::{Linker, Place, TrackPair, open_linker};
pub use crate::manifest::{Made, ModelEntry, ModelFile, Precision, Source, Task};
pub use crate::registry::{FileCheck, ModelState, Registry, Verdict};
pub use crate::reid::{ReId, open_reid};
pub use crate::reranker::{Reranker, open_reranker};
pub use crate::service::{
    AppearanceReply, CacheCounts, CaptionReply, CaptionerHandle, DetectReply, DetectorHandle,
    EmbedReply, EmbedderHandle, InferenceService, Latency, LinkerHandle, LoadedModel, OpenOptions,
    ReIdHandle, RerankerHandle, ServiceOptions,
};
