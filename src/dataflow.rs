//! The timely dataflow: one runtime of workers, one dataflow for each source, started and
//! stopped at run time by commands that reach every worker in the same order.
//!
//! A frame's stages lie beside this folder, one each (`decode`, `detect`, `track`, `keyframe`,
//! `caption`, `embed`, `tables`); [`source`] puts them together. Here are what they share: the
//! clock, the gate that holds a decoder back, the operator that hands work to other threads, and
//! the workers.
//!
//! Invariants: no operator blocks; pixels never cross workers; every queue is bounded.

pub mod admit;
pub mod clock;
pub mod gate;
pub mod metrics;
pub mod offload;
pub mod publish;
pub mod source;
pub mod workers;
