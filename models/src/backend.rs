//! The engine below the models: ONNX Runtime, loaded at run time.
//!
//! A file goes in, a [`Session`] comes out: named tensors in, named tensors out, checked against
//! what a model family expects. Nothing here knows of pictures, boxes or texts, and only
//! `backend/ort.rs` names the `ort` crate.

mod device;
mod library;
mod ort;
mod tensor;

pub use self::device::{Device, RunsOn};
pub use self::ort::{Outputs, Session};
pub use self::tensor::{Element, Input, SessionOptions, TensorInfo};
