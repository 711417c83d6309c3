//! `DROP SOURCE`: stops a source and removes its rows.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Answer, Context, Definition, OwnStatement, StatementDoc, unknown_source};
use crate::dialect::Cursor;
use crate::{Notice, SqlError};

static DOC: StatementDoc = StatementDoc {
    name: "DROP SOURCE",
    syntax: "DROP SOURCE [ IF EXISTS ] name",
    description: "Stops a source and removes its rows from all tables and the pictures of its key \
frames. A query that runs meanwhile keeps the rows that it began with.",
    example: "DROP SOURCE IF EXISTS boxes;",
};

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["DROP", "SOURCE"], doc: &DOC, parse }
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
    let missing =
        if cursor.accept(&["IF", "EXISTS"]) { Missing::Skipped } else { Missing::Refused };
    let name = cursor.name()?;
    Ok(Arc::new(Statement { name, missing }))
}

#[async_trait]
impl OwnStatement for Statement {
    fn tag(&self) -> &'static str {
        DOC.name
    }

    async fn run(&self, context: &Context<'_>) -> Result<Answer, SqlError> {
        let engine = context.engine;
        match engine.drop_source(&self.name).await {
            Ok(()) => Ok(Answer::Done(Vec::new())),
            Err(error) if error.sqlstate == "42704" => match self.missing {
                Missing::Refused => Err(unknown_source(engine, &self.name)),
                Missing::Skipped => {
                    let message = format!("source \"{}\" does not exist, skipping", self.name);
                    Ok(Answer::Done(vec![Notice::new("00000", message)]))
                }
            },
            Err(error) => Err(error.into()),
        }
    }
}
