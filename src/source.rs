//! Sources: a parsed `CREATE SOURCE` goes in, a checked [`SourceSpec`] comes out.
//!
//! Nothing here opens a video or starts anything; the file system is looked at so that a path
//! that is not there is an error of the statement and not of the dataflow.

mod check;
mod error;
mod moving_boxes;
mod option;
mod options;
mod places;
mod spec;
mod text;
mod value;

pub(crate) use self::check::model_path;
pub use self::error::SourceError;
pub use self::moving_boxes::{MovingBoxes, moving_boxes_options};
pub use self::option::OptionDoc;
pub(crate) use self::option::{apply as apply_options, nearest};
pub use self::options::{
    CaptionSearch, Mode, SourceDefaults, SourceOptions, is_of_trackers, options,
};
pub use self::places::{AllowedPlaces, LocalAddresses};
/// Reads options, a line each as `name=value`: those of a file, or those of the load generator with
/// those of its source. For fuzzing; statements come in by [`SourceSpec::from_statement`].
///
/// # Errors
/// Those of `CREATE SOURCE`.
pub fn parse_options(text: &str) -> Result<(), SourceError> {
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let given: Vec<_> = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let defaults = SourceDefaults::default();
    let of_file = option::apply(options(), &mut SourceOptions::for_file(&defaults), &given);
    let of_generator = MovingBoxes::from_options("moving_boxes", &given);
    of_file.or(of_generator.map(drop))
}

pub use self::spec::{SourceOrigin, SourceSpec};
pub(crate) use self::text::StatementText;
pub use crate::track::TrackerKind as Tracker;
