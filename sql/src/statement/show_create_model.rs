//! `SHOW CREATE MODEL`: the statement that makes a model again.

use std::sync::{Arc, LazyLock};

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::error::DataFusionError;

use super::{Answer, Context, Definition, OwnStatement, StatementDoc};
use crate::SqlError;
use crate::dialect::Cursor;

static DOC: StatementDoc = StatementDoc {
    name: "SHOW CREATE MODEL",
    syntax: "SHOW CREATE MODEL name",
    description: "Gives the `CREATE MODEL` statement that makes a registered model again, as long as \
what it was made from is still where it was. A model of the manifest has none.",
    example: "CREATE MODEL helmets TYPE detector FROM 'helmets.onnx'
    WITH (family = 'yolov8', labels = 'helmet, head');
SHOW CREATE MODEL helmets;",
};

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("create_sql", DataType::Utf8, false),
    ]))
});

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["SHOW", "CREATE", "MODEL"], doc: &DOC, parse }
}

#[derive(Debug)]
struct Statement {
    name: String,
}

fn parse(cursor: &mut Cursor) -> Result<Arc<dyn OwnStatement>, SqlError> {
    Ok(Arc::new(Statement { name: cursor.name()? }))
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
        let refused = |sqlstate, why: &str, hint: &str| SqlError::Invalid {
            sqlstate,
            message: format!("model \"{}\" {why}", self.name),
            hint: Some(hint.into()),
            position: None,
        };
        let model = models
            .iter()
            .find(|model| model.name == self.name)
            .ok_or_else(|| refused("42704", "does not exist", "SHOW MODELS lists the models."))?;
        let create_sql = model.create_sql.as_deref().ok_or_else(|| {
            let hint = "It is listed in the manifest; vigil_catalog.models tells of it.";
            refused("42809", "was not made by CREATE MODEL", hint)
        })?;
        let column = |text: &str| Arc::new(StringArray::from_iter_values([text]));
        let batch = RecordBatch::try_new(
            Arc::clone(&SCHEMA),
            vec![column(&model.name), column(create_sql)],
        )
        .map_err(DataFusionError::from)?;
        Ok(Answer::Rows(batch))
    }
}
