//! Vigil, a streaming database for video.
//!
//! Statements come in ([`vigil_sql`]), sources are decoded, detected, tracked, captioned and
//! embedded in a timely dataflow, and tables come out. The modules lie in the order in which a
//! frame travels: [`source`] → [`decode`] → [`detect`] → [`track`] → [`keyframe`] → [`caption`] →
//! [`embed`] → [`tables`] → [`index`]; [`dataflow`] is what carries it, and [`Engine`] owns all of it.

#[cfg(target_os = "linux")]
pub mod allocator;
pub mod caption;
pub mod cli;
pub mod dataflow;
pub mod decode;
pub mod detect;
pub mod embed;
mod engine;
mod error;
pub mod eval;
pub mod fault;
pub mod index;
pub mod keyframe;
pub mod model;
pub mod source;
mod source_id;
pub mod tables;
pub mod track;

pub use crate::engine::{Engine, EngineConfig, InferenceConfig, RunningSource, SourceState};
pub use crate::error::Error;
pub use crate::source_id::SourceId;
