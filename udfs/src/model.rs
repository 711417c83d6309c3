//! Functions that call a network: texts go in, vectors come out.
//!
//! The network is behind [`ModelCalls`](crate::ModelCalls); a function never knows which runtime
//! runs it. A failure is an error with the model's SQLSTATE, never a zero vector.

mod embed;

use crate::doc::Function;

/// The functions of this folder.
pub fn functions() -> Vec<Function> {
    vec![embed::function()]
}

const SECTION: &str = "Models";
