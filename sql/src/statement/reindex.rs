//! `REINDEX`: builds an index again.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::{Answer, Context, Definition, OwnStatement, StatementDoc};
use crate::SqlError;
use crate::access::denied;
use crate::catalog::StandardTable;
use crate::dialect::Cursor;

static DOC: StatementDoc = StatementDoc {
    name: "REINDEX",
    syntax: "REINDEX [ ( VERBOSE ) ] { INDEX | TABLE } [ CONCURRENTLY ] name",
    description: "Builds the graph of an index, or those of all indexes of a table, again from the \
rows of the moment. Queries use the old one until the new one is there. It is never necessary: deleted rows are taken out in the \
background.",
    example: "REINDEX INDEX captions_embedding_idx;",
};

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["REINDEX"], doc: &DOC, parse }
}

#[derive(Debug)]
struct Statement {
    name: String,
    what: What,
    is_concurrent: bool,
}

/// What the name is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Index,
    /// All its indexes are built again.
    Table,
}

fn parse(cursor: &mut Cursor) -> Result<Arc<dyn OwnStatement>, SqlError> {
    if cursor.accept_sign(&Token::LParen) {
        // There is nothing more to tell of a build than its progress.
        cursor.expect(&["VERBOSE"])?;
        cursor.expect_sign(&Token::RParen)?;
    }
    let what = if cursor.accept(&["TABLE"]) {
        What::Table
    } else {
        cursor.expect(&["INDEX"])?;
        What::Index
    };
    let is_concurrent = cursor.accept(&["CONCURRENTLY"]);
    Ok(Arc::new(Statement { name: cursor.index_name()?, what, is_concurrent }))
}

#[async_trait]
impl OwnStatement for Statement {
    fn tag(&self) -> &'static str {
        DOC.name
    }

    fn stands_alone(&self) -> Option<&'static str> {
        self.is_concurrent.then_some("REINDEX CONCURRENTLY")
    }

    async fn run(&self, context: &Context<'_>) -> Result<Answer, SqlError> {
        let is_table = StandardTable::ALL.iter().any(|table| table.name() == self.name);
        if self.what == What::Index {
            context.engine.reindex(&self.name).await?;
        } else if !context.access.privileges()?.is_operator {
            return Err(denied("permission denied to rebuild index".into(), None));
        } else if is_table {
            for index in context.engine.indexes() {
                if index.table == self.name {
                    context.engine.reindex(&index.name).await?;
                }
            }
        } else {
            return Err(SqlError::Invalid {
                sqlstate: "42P01",
                message: format!("relation \"{}\" does not exist", self.name),
                hint: None,
                position: None,
            });
        }
        Ok(Answer::Done(Vec::new()))
    }
}
