//! `REINDEX`: builds an index again.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Answer, Context, Definition, OwnStatement, StatementDoc};
use crate::SqlError;
use crate::dialect::Cursor;

static DOC: StatementDoc = StatementDoc {
    name: "REINDEX",
    syntax: "REINDEX INDEX [ CONCURRENTLY ] name",
    description: "Builds the graph of an index again from the rows of the moment. Queries use the \
old one until the new one is there. It is never necessary: deleted rows are taken out in the \
background.",
    example: "REINDEX INDEX captions_embedding_idx;",
};

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["REINDEX"], doc: &DOC, parse }
}

#[derive(Debug)]
struct Statement {
    name: String,
}

fn parse(cursor: &mut Cursor) -> Result<Arc<dyn OwnStatement>, SqlError> {
    cursor.expect(&["INDEX"])?;
    cursor.accept(&["CONCURRENTLY"]);
    Ok(Arc::new(Statement { name: cursor.identifier()? }))
}

#[async_trait]
impl OwnStatement for Statement {
    fn tag(&self) -> &'static str {
        DOC.name
    }

    async fn run(&self, context: &Context<'_>) -> Result<Answer, SqlError> {
        context.engine.reindex(&self.name).await?;
        Ok(Answer::Done(Vec::new()))
    }
}
