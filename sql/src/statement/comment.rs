//! `COMMENT ON`: says what a table or a column is.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::{Answer, Context, Definition, OwnStatement, StatementDoc};
use crate::SqlError;
use crate::access::denied;
use crate::catalog::StandardTable;
use crate::catalog::system::{self, SYSTEM_SCHEMA};
use crate::database::DEFAULT_SCHEMA;
use crate::dialect::Cursor;

static DOC: StatementDoc = StatementDoc {
    name: "COMMENT ON",
    syntax: "COMMENT ON { TABLE [ schema. ] table | COLUMN [ schema. ] table.column }
    IS { 'text' | NULL }",
    description: "Says what a table or a column is, for psql's `\\d+`, `col_description` and BI \
tools. Tables and columns have comments from the start; NULL takes one away. It takes a member of \
`vigil_admin`, and is kept in the data folder.",
    example: "COMMENT ON TABLE tracks IS 'One object over time';
COMMENT ON COLUMN detections.confidence IS 'The score, 0..1';",
};

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["COMMENT", "ON"], doc: &DOC, parse }
}

#[derive(Debug)]
struct Statement {
    /// Perhaps a schema, a table, perhaps a column.
    path: Vec<String>,
    is_column: bool,
    comment: Option<String>,
}

fn parse(cursor: &mut Cursor) -> Result<Arc<dyn OwnStatement>, SqlError> {
    let is_column = cursor.accept(&["COLUMN"]);
    if !is_column && !cursor.accept(&["TABLE"]) && !cursor.accept(&["VIEW"]) {
        return Err(SqlError::Unsupported {
            what: "COMMENT ON anything but tables and columns".into(),
            hint: Some("Write COMMENT ON TABLE or COMMENT ON COLUMN.".into()),
        });
    }
    let mut path = vec![cursor.identifier()?];
    while cursor.accept_sign(&Token::Period) {
        path.push(cursor.identifier()?);
    }
    cursor.expect(&["IS"])?;
    let comment = if cursor.accept(&["NULL"]) { None } else { Some(cursor.string()?) };
    Ok(Arc::new(Statement { path, is_column, comment }))
}

impl Statement {
    /// Schema, table and column.
    fn object(&self) -> Result<(&'static str, &str, Option<&str>), SqlError> {
        let (column, path) = match self.path.split_last() {
            Some((column, path)) if self.is_column => (Some(column.as_str()), path),
            _ => (None, self.path.as_slice()),
        };
        let (schema, table) = match path {
            [table] => (None, table.as_str()),
            [.., schema, table] => (Some(schema.as_str()), table.as_str()),
            [] => return Err(invalid("42601", "column name must be qualified".into())),
        };
        let standard = StandardTable::ALL.into_iter().find(|standard| standard.name() == table);
        let system = system::all().into_iter().find(|system| system.name == table);
        let (schema, columns) = match (schema, standard, system) {
            (None | Some(DEFAULT_SCHEMA), Some(standard), _) => {
                (DEFAULT_SCHEMA, standard.columns().to_vec())
            }
            (Some(SYSTEM_SCHEMA), _, Some(system)) => (SYSTEM_SCHEMA, system.columns),
            _ => {
                let message = format!("relation \"{}\" does not exist", path.join("."));
                return Err(invalid("42P01", message));
            }
        };
        if let Some(column) = column
            && !columns.iter().any(|known| known.field.name() == column)
        {
            let message = format!("column \"{column}\" of relation \"{table}\" does not exist");
            return Err(invalid("42703", message));
        }
        Ok((schema, table, column))
    }
}

fn invalid(sqlstate: &'static str, message: String) -> SqlError {
    SqlError::Invalid { sqlstate, message, hint: None, position: None }
}

#[async_trait]
impl OwnStatement for Statement {
    fn tag(&self) -> &'static str {
        "COMMENT"
    }

    fn tells(&self) -> bool {
        false
    }

    async fn run(&self, context: &Context<'_>) -> Result<Answer, SqlError> {
        let (schema, table, column) = self.object()?;
        if !context.access.privileges()?.is_admin {
            let hint = "Only members of vigil_admin may comment.";
            return Err(denied(format!("must be owner of table {table}"), Some(hint)));
        }
        context.comments.say(schema, table, column, self.comment.as_deref())?;
        Ok(Answer::Done(Vec::new()))
    }
}
