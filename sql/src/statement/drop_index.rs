//! `DROP INDEX`: removes an index.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::{Answer, Context, Definition, OwnStatement, StatementDoc};
use crate::dialect::Cursor;
use crate::{Notice, SqlError};

static DOC: StatementDoc = StatementDoc {
    name: "DROP INDEX",
    syntax: "DROP INDEX [ CONCURRENTLY ] [ IF EXISTS ] name [, ...] [ CASCADE | RESTRICT ]",
    description: "Removes indexes over vectors. Queries that they served scan the table from then \
on. When one of several is not there, none is removed. No `ROLLBACK` brings one back; with `CONCURRENTLY` it is \
refused in a transaction block.",
    example: "DROP INDEX IF EXISTS captions_l2;",
};

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["DROP", "INDEX"], doc: &DOC, parse }
}

#[derive(Debug)]
struct Statement {
    names: Vec<String>,
    missing: Missing,
    is_concurrent: bool,
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
    let is_concurrent = cursor.accept(&["CONCURRENTLY"]);
    let missing =
        if cursor.accept(&["IF", "EXISTS"]) { Missing::Skipped } else { Missing::Refused };
    let mut names = vec![cursor.index_name()?];
    while cursor.accept_sign(&Token::Comma) {
        names.push(cursor.index_name()?);
    }
    // Nothing depends on an index.
    let cascades = cursor.accept(&["CASCADE"]);
    if !cascades {
        cursor.accept(&["RESTRICT"]);
    }
    let lacks = match (names.len(), cascades) {
        _ if !is_concurrent => None,
        (2.., _) => Some("dropping multiple objects"),
        (_, true) => Some("CASCADE"),
        _ => None,
    };
    if let Some(what) = lacks {
        return Err(SqlError::Invalid {
            sqlstate: "0A000",
            message: format!("DROP INDEX CONCURRENTLY does not support {what}"),
            hint: Some("Write DROP INDEX, which waits for nothing either.".into()),
            position: None,
        });
    }
    Ok(Arc::new(Statement { names, missing, is_concurrent }))
}

#[async_trait]
impl OwnStatement for Statement {
    fn tag(&self) -> &'static str {
        DOC.name
    }

    fn stands_alone(&self) -> Option<&'static str> {
        self.is_concurrent.then_some("DROP INDEX CONCURRENTLY")
    }

    async fn run(&self, context: &Context<'_>) -> Result<Answer, SqlError> {
        let known: BTreeSet<String> =
            context.engine.indexes().into_iter().map(|index| index.name).collect();
        // Whoever sees no index is told by the engine, which also knows who may drop one.
        if self.missing == Missing::Refused
            && let Some(name) = self.names.iter().find(|name| !known.contains(*name))
            && self.names.iter().any(|name| known.contains(name))
        {
            return Err(SqlError::Invalid {
                sqlstate: "42704",
                message: format!("index \"{name}\" does not exist"),
                hint: None,
                position: None,
            });
        }
        let mut notices = Vec::new();
        for name in self.names.iter().collect::<BTreeSet<_>>() {
            match context.engine.drop_index(name).await {
                Ok(()) => {}
                Err(error) if error.sqlstate == "42704" && self.missing == Missing::Skipped => {
                    let message = format!("index \"{name}\" does not exist, skipping");
                    notices.push(Notice::new("00000", message));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Answer::Done(notices))
    }
}
