//! `SHOW CREATE SOURCE`: the statement that makes a source again.

use std::sync::{Arc, LazyLock};

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::error::DataFusionError;

use super::{Answer, Context, Definition, OwnStatement, StatementDoc, unknown_source};
use crate::SqlError;
use crate::dialect::Cursor;

static DOC: StatementDoc = StatementDoc {
    name: "SHOW CREATE SOURCE",
    syntax: "SHOW CREATE SOURCE name",
    description: "Gives the `CREATE SOURCE` statement that makes the source again.",
    example: "CREATE SOURCE IF NOT EXISTS boxes FROM LOAD GENERATOR MOVING_BOXES (frames = 20);
SHOW CREATE SOURCE boxes;",
};

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("create_sql", DataType::Utf8, false),
    ]))
});

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["SHOW", "CREATE", "SOURCE"], doc: &DOC, parse }
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
        let engine = context.engine;
        let sources = engine.sources();
        let source = sources
            .iter()
            .find(|source| source.name == self.name)
            .ok_or_else(|| unknown_source(engine, &self.name))?;
        let column = |text: &str| Arc::new(StringArray::from_iter_values([text]));
        let batch = RecordBatch::try_new(
            Arc::clone(&SCHEMA),
            vec![column(&source.name), column(&source.create_sql)],
        )
        .map_err(DataFusionError::from)?;
        Ok(Answer::Rows(batch))
    }
}
