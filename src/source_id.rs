//! The number by which the engine knows a source, in the order of creation from 1. A name can be
//! used again after `DROP SOURCE`; a number is not.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceId(pub i64);

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
