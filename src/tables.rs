//! The tables in memory: rows of a source come in with each commit, consistent cuts go out.
//!
//! [`Tables`] holds the chunks of Arrow data of every source. A commit adds the rows of all its
//! tables at once; a [`Snapshot`] is what was committed at one moment, and a query reads one
//! snapshot only: never a detection without its frame, never a caption without its detections.

mod chunks;
mod corrections;
mod provider;
mod rows;
mod snapshot;
mod table_rows;
#[cfg(test)]
mod tests;
mod track_rows;

pub use self::chunks::{Chunk, Chunks};
pub use self::provider::StandardTableProvider;
pub use self::rows::{CaptionRow, DetectionRow, FrameRow, RowContext};
pub use self::snapshot::{CaptionCommit, FrameCommit, Progress, Snapshot, SourceTables, Tables};
pub(crate) use self::table_rows::{TableRows, Vectors};
pub use self::track_rows::TrackRows;
