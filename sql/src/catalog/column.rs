//! A column of a catalog table: its name, Arrow type, nullability and comment.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};

/// Length of the vectors in `captions.embedding`.
pub const CAPTION_DIMENSIONS: i32 = 384;

/// A column and what it means.
#[derive(Clone, Debug)]
pub struct Column {
    /// The Arrow field, with metadata `pg.vector` on vectors.
    pub field: Field,
    /// What it means, units included; PostgreSQL's column comment.
    pub comment: &'static str,
}

impl Column {
    /// The same column of vectors, whose models are in another column.
    pub(super) fn of_model_in(mut self, column: &str) -> Self {
        let key = vigil_udfs::MODEL_COLUMN_TAG.to_owned();
        self.field.metadata_mut().insert(key, column.to_owned());
        self
    }

    /// The same column, nullable.
    pub(super) fn nullable(mut self) -> Self {
        self.field = self.field.with_nullable(true);
        self
    }
}

fn column(name: &str, data_type: DataType, comment: &'static str) -> Column {
    Column { field: Field::new(name, data_type, false), comment }
}

pub(super) fn text(name: &str, comment: &'static str) -> Column {
    column(name, DataType::Utf8, comment)
}

/// `json`: a text in Arrow.
pub(super) fn json(name: &str, comment: &'static str) -> Column {
    let mut column = text(name, comment);
    column.field = vigil_udfs::json::json_field(column.field);
    column
}

pub(super) fn boolean(name: &str, comment: &'static str) -> Column {
    column(name, DataType::Boolean, comment)
}

pub(super) fn integer(name: &str, comment: &'static str) -> Column {
    column(name, DataType::Int32, comment)
}

pub(super) fn bigint(name: &str, comment: &'static str) -> Column {
    column(name, DataType::Int64, comment)
}

pub(super) fn real(name: &str, comment: &'static str) -> Column {
    column(name, DataType::Float32, comment)
}

pub(super) fn double_precision(name: &str, comment: &'static str) -> Column {
    column(name, DataType::Float64, comment)
}

pub(super) fn timestamptz(name: &str, comment: &'static str) -> Column {
    column(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), comment)
}

fn vector_item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Float32, true))
}

fn tagged_vector(mut column: Column) -> Column {
    let tag = HashMap::from([("pg.vector".to_owned(), "vector".to_owned())]);
    column.field = column.field.with_metadata(tag);
    column
}

/// `vector(384)`.
pub(super) fn vector_384(name: &str, comment: &'static str) -> Column {
    let data_type = DataType::FixedSizeList(vector_item(), CAPTION_DIMENSIONS);
    tagged_vector(column(name, data_type, comment))
}

/// `vector` of any length.
pub(super) fn vector(name: &str, comment: &'static str) -> Column {
    tagged_vector(column(name, DataType::List(vector_item()), comment))
}

/// The fields of one of a track's positions.
pub fn position_fields() -> Fields {
    Fields::from(vec![
        Field::new("frame_number", DataType::Int64, false),
        Field::new("x", DataType::Float32, false),
        Field::new("y", DataType::Float32, false),
    ])
}

/// A list of `(frame_number, x, y)`.
pub(super) fn positions(name: &str, comment: &'static str) -> Column {
    let item = Field::new("item", DataType::Struct(position_fields()), true);
    column(name, DataType::List(Arc::new(item)), comment)
}
