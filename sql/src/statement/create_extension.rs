//! `CREATE EXTENSION vector`: what every program for pgvector says first. The types, operators and
//! indexes are there from the start, so there is nothing to do.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Answer, Context, Definition, OwnStatement, StatementDoc};
use crate::dialect::Cursor;
use crate::{Notice, SqlError};

static DOC: StatementDoc = StatementDoc {
    name: "CREATE EXTENSION",
    syntax: "CREATE EXTENSION [ IF NOT EXISTS ] name
    [ WITH ] [ SCHEMA schema ] [ VERSION version ] [ CASCADE ]",
    description: "Is for programs written for pgvector, which begin with it. The extension \
`vector` is there from the start: with `IF NOT EXISTS` the statement says so in a notice, without it \
in an error (42710). There is no other one.",
    example: "CREATE EXTENSION IF NOT EXISTS vector;",
};

/// The extension that is there.
const VECTOR: &str = "vector";

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["CREATE", "EXTENSION"], doc: &DOC, parse }
}

#[derive(Debug)]
struct Statement {
    name: String,
    if_not_exists: bool,
}

fn parse(cursor: &mut Cursor) -> Result<Arc<dyn OwnStatement>, SqlError> {
    let if_not_exists = cursor.accept(&["IF", "NOT", "EXISTS"]);
    let name = cursor.identifier()?;
    cursor.accept(&["WITH"]);
    loop {
        if cursor.accept(&["SCHEMA"]) {
            cursor.identifier()?;
        } else if cursor.accept(&["VERSION"]) {
            cursor.string().or_else(|_| cursor.identifier())?;
        } else if !cursor.accept(&["CASCADE"]) {
            break;
        }
    }
    Ok(Arc::new(Statement { name, if_not_exists }))
}

#[async_trait]
impl OwnStatement for Statement {
    fn tag(&self) -> &'static str {
        DOC.name
    }

    fn tells(&self) -> bool {
        false
    }

    async fn run(&self, _context: &Context<'_>) -> Result<Answer, SqlError> {
        let Self { name, if_not_exists } = self;
        if name != VECTOR {
            return Err(SqlError::Invalid {
                sqlstate: "0A000",
                message: format!("extension \"{name}\" is not available"),
                hint: Some("The one that there is, is vector.".into()),
                position: None,
            });
        }
        let message = format!("extension \"{name}\" already exists");
        if *if_not_exists {
            return Ok(Answer::Done(vec![Notice::new("42710", format!("{message}, skipping"))]));
        }
        Err(SqlError::Invalid {
            sqlstate: "42710",
            message,
            hint: Some("Write CREATE EXTENSION IF NOT EXISTS vector.".into()),
            position: None,
        })
    }
}
