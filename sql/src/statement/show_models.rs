//! `SHOW MODELS`: the models at a glance.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::error::DataFusionError;

use super::{Answer, Context, Definition, OwnStatement, StatementDoc};
use crate::dialect::Cursor;
use crate::{ModelInfo, SqlError};

static DOC: StatementDoc = StatementDoc {
    name: "SHOW MODELS",
    syntax: "SHOW MODELS",
    description: "Lists the models by name, those of the manifest and those that `CREATE MODEL` \
registered: name, type, family, version, licence, size in bytes, state (`missing`: `vigil models \
pull` fetches it; `present`; `loaded`), where a loaded one runs and why, and whether it was \
registered. `vigil_catalog.models` and `vigil_catalog.model_metrics` say more.",
    example: "SHOW MODELS;",
};

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("type", DataType::Utf8, false),
        Field::new("family", DataType::Utf8, false),
        Field::new("version", DataType::Utf8, false),
        Field::new("licence", DataType::Utf8, false),
        Field::new("size_bytes", DataType::Int64, false),
        Field::new("state", DataType::Utf8, false),
        Field::new("device", DataType::Utf8, true),
        Field::new("origin", DataType::Utf8, false),
    ]))
});

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["SHOW", "MODELS"], doc: &DOC, parse }
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
        let models = context.engine.models();
        let text = |of: fn(&ModelInfo) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(models.iter().map(of)))
        };
        let columns: Vec<ArrayRef> = vec![
            text(|model| &model.name),
            text(|model| &model.task),
            text(|model| &model.family),
            text(|model| &model.version),
            text(|model| &model.licence),
            Arc::new(Int64Array::from_iter_values(models.iter().map(|model| model.size_bytes))),
            text(|model| &model.state),
            Arc::new(StringArray::from_iter(models.iter().map(|model| model.device.as_deref()))),
            text(|model| if model.create_sql.is_some() { "registered" } else { "manifest" }),
        ];
        let batch =
            RecordBatch::try_new(Arc::clone(&SCHEMA), columns).map_err(DataFusionError::from)?;
        Ok(Answer::Rows(batch))
    }
}
