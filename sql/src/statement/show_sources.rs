//! `SHOW SOURCES`: the sources at a glance.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::error::DataFusionError;

use super::{Answer, Context, Definition, OwnStatement, StatementDoc};
use crate::SqlError;
use crate::dialect::Cursor;

static DOC: StatementDoc = StatementDoc {
    name: "SHOW SOURCES",
    syntax: "SHOW SOURCES",
    description: "Lists the sources in the order of their creation: name, state (`starting`, \
`running`, `ended`, `failed`), models, frames processed, frames in all where that is known, frames \
a second, and the error of a failed one. `vigil_catalog.sources` and \
`vigil_catalog.source_statistics` say more.",
    example: "SHOW SOURCES;",
};

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("state", DataType::Utf8, false),
        Field::new("detector", DataType::Utf8, false),
        Field::new("tracker", DataType::Utf8, false),
        Field::new("captioner", DataType::Utf8, false),
        Field::new("frames", DataType::Int64, false),
        Field::new("total_frames", DataType::Int64, true),
        Field::new("frames_per_second", DataType::Float64, false),
        Field::new("url", DataType::Utf8, false),
        Field::new("error", DataType::Utf8, true),
    ]))
});

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["SHOW", "SOURCES"], doc: &DOC, parse }
}

#[derive(Debug)]
struct Statement;

fn parse(_cursor: &mut Cursor) -> Result<Arc<dyn OwnStatement>, SqlError> {
    Ok(Arc::new(Statement))
}

#[async_trait]
impl OwnStatement for Statement {
    fn tag(&self) -> &'static str {
        "SHOW"
    }

    fn schema(&self) -> Option<SchemaRef> {
        Some(Arc::clone(&SCHEMA))
    }

    async fn run(&self, context: &Context<'_>) -> Result<Answer, SqlError> {
        let engine = context.engine;
        let mut sources = engine.sources();
        sources.sort_by_key(|source| source.id);
        let text = |of: fn(&crate::SourceInfo) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(sources.iter().map(of)))
        };
        let rounded = |rate: f64| (rate * 10.0).round() / 10.0;
        let columns: Vec<ArrayRef> = vec![
            text(|source| &source.name),
            text(|source| &source.state),
            text(|source| &source.detector),
            text(|source| &source.tracker),
            text(|source| &source.captioner),
            Arc::new(Int64Array::from_iter_values(
                sources.iter().map(|source| source.statistics.frames_processed),
            )),
            Arc::new(Int64Array::from_iter(sources.iter().map(|source| source.total_frames))),
            Arc::new(Float64Array::from_iter_values(
                sources.iter().map(|source| rounded(source.statistics.frames_per_second)),
            )),
            text(|source| &source.url),
            Arc::new(StringArray::from_iter(sources.iter().map(|source| source.error.as_deref()))),
        ];
        let batch =
            RecordBatch::try_new(Arc::clone(&SCHEMA), columns).map_err(DataFusionError::from)?;
        Ok(Answer::Rows(batch))
    }
}
