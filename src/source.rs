//! Sources: a parsed `CREATE SOURCE` goes in, a checked [`SourceSpec`] comes out.
//!
//! Nothing here opens a video or starts anything; the file system is looked at so that a path
//! that is not there is an error of the statement and not of the dataflow.

mod check;
mod error;
mod moving_boxes;
mod option;
mod options;
mod spec;
mod value;

pub use self::error::SourceError;
pub use self::moving_boxes::{MovingBoxes, moving_boxes_options};
pub use self::option::OptionDoc;
pub(crate) use self::option::nearest;
pub use self::options::{Mode, SourceDefaults, SourceOptions, options};
pub use self::spec::{SourceOrigin, SourceSpec};
pub use crate::track::TrackerKind as Tracker;
