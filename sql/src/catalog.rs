//! The schemas of all tables, defined once: one file for each table, one line in
//! [`StandardTable`] or in [`system::all`].

mod captions;
mod column;
mod computed;
mod detections;
mod embeddings;
mod frames;
pub(crate) mod pg;
mod schemas;
pub mod system;
mod tracks;

use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{Schema, SchemaRef};

pub use self::column::{CAPTION_DIMENSIONS, Column, position_fields};
pub(crate) use self::schemas::{PublicSchema, SystemSchema};

/// The tables that the engine fills, in the order in which a frame reaches them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StandardTable {
    /// Processed frames.
    Frames,
    /// Objects in frames.
    Detections,
    /// Objects over time.
    Tracks,
    /// Captions of key frames.
    Captions,
    /// Vectors.
    Embeddings,
}

struct Definition {
    columns: Vec<Column>,
    schema: SchemaRef,
}

static DEFINITIONS: LazyLock<[Definition; 5]> = LazyLock::new(|| {
    StandardTable::ALL.map(|table| {
        let columns = match table {
            StandardTable::Frames => frames::columns(),
            StandardTable::Detections => detections::columns(),
            StandardTable::Tracks => tracks::columns(),
            StandardTable::Captions => captions::columns(),
            StandardTable::Embeddings => embeddings::columns(),
        };
        let fields: Vec<_> = columns.iter().map(|column| column.field.clone()).collect();
        Definition { columns, schema: Arc::new(Schema::new(fields)) }
    })
});

impl StandardTable {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Frames, Self::Detections, Self::Tracks, Self::Captions, Self::Embeddings];

    /// The table's name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::Detections => "detections",
            Self::Tracks => "tracks",
            Self::Captions => "captions",
            Self::Embeddings => "embeddings",
        }
    }

    /// What a row is; PostgreSQL's table comment.
    pub fn comment(self) -> &'static str {
        match self {
            Self::Frames => frames::COMMENT,
            Self::Detections => detections::COMMENT,
            Self::Tracks => tracks::COMMENT,
            Self::Captions => captions::COMMENT,
            Self::Embeddings => embeddings::COMMENT,
        }
    }

    /// The columns with their comments.
    pub fn columns(self) -> &'static [Column] {
        &DEFINITIONS[self as usize].columns
    }

    /// The Arrow schema.
    pub fn schema(self) -> SchemaRef {
        Arc::clone(&DEFINITIONS[self as usize].schema)
    }
}

impl fmt::Display for StandardTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
