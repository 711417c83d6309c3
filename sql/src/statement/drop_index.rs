//! `DROP INDEX`: removes an index.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Answer, Context, Definition, OwnStatement, StatementDoc};
use crate::dialect::Cursor;
use crate::{Notice, SqlError};

static DOC: StatementDoc = StatementDoc {
    name: "DROP INDEX",
    syntax: "DROP INDEX [ CONCURRENTLY ] [ IF EXISTS ] name",
    description: "Removes an index over vectors. Queries that it served scan the table from then \
on.",
    example: "DROP INDEX IF EXISTS captions_l2;",
};

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["DROP", "INDEX"], doc: &DOC, parse }
}

#[derive(Debug)]
struct Statement {
    name: String,
    missing: Missing,
}

/// What becomes of a name that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// An error.
    Refused,
    /// `IF EXISTS`: a notice.
    Skipped,
}

fn parse(cursor: &mut Cursor) -> Result<Arc<dyn OwnStatement>, SqlError> {
    cursor.accept(&["CONCURRENTLY"]);
    let missing =
        if cursor.accept(&["IF", "EXISTS"]) { Missing::Skipped } else { Missing::Refused };
    let name = cursor.identifier()?;
    Ok(Arc::new(Statement { name, missing }))
}

#[async_trait]
impl OwnStatement for Statement {
    fn tag(&self) -> &'static str {
        DOC.name
    }

    async fn run(&self, context: &Context<'_>) -> Result<Answer, SqlError> {
        match context.engine.drop_index(&self.name).await {
            Ok(()) => Ok(Answer::Done(Vec::new())),
            Err(error) if error.sqlstate == "42704" && self.missing == Missing::Skipped => {
                let message = format!("index \"{}\" does not exist, skipping", self.name);
                Ok(Answer::Done(vec![Notice::new("00000", message)]))
            }
            Err(error) => Err(error.into()),
        }
    }
}
