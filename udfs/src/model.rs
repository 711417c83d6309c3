//! Functions that call a network: texts go in, vectors and scores come out.
//!
//! The network is behind [`ModelCalls`](crate::ModelCalls); a function never knows which runtime
//! runs it. A failure is an error with the model's SQLSTATE, never a zero vector.

mod embed;
mod rerank;

use crate::doc::Function;

/// The functions of this folder.
pub fn functions() -> Vec<Function> {
    vec![embed::function(), rerank::function()]
}

const SECTION: &str = "Models";
