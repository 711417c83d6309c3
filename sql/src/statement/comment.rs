//! `COMMENT ON`: says what a table, a view or a column is.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::{Answer, Context, Definition, OwnStatement, StatementDoc};
use crate::SqlError;
use crate::access::denied;
use crate::catalog::StandardTable;
use crate::catalog::system::{self, SYSTEM_SCHEMA};
use crate::database::DEFAULT_SCHEMA;
use crate::dialect::Cursor;
use crate::views::Named;

static DOC: StatementDoc = StatementDoc {
    name: "COMMENT ON",
    syntax: "COMMENT ON { { TABLE | VIEW } [ schema. ] name | COLUMN [ schema. ] name.column }
    IS { 'text' | NULL }",
    description: "Says what a table, a view or a column is, for psql's `\\d+`, `col_description` and BI \
tools. Tables and columns have comments from the start; NULL and the empty text take one away. It takes a \
member of `vigil_admin` or the owner of the view. What is said of a table is kept in the data folder, what is \
said of a view with the view. `ROLLBACK` takes it back.",
    example: "COMMENT ON TABLE tracks IS 'One object over time';
COMMENT ON COLUMN detections.confidence IS 'The score, 0..1';
CREATE VIEW people AS SELECT * FROM tracks WHERE class_name = 'person';
COMMENT ON VIEW people IS 'Who went by';",
};

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["COMMENT", "ON"], doc: &DOC, parse }
}

/// What a comment is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Table,
    View,
    Column,
}

#[derive(Debug)]
struct Statement {
    /// Perhaps a schema, a table or view, perhaps a column.
    path: Vec<String>,
    what: What,
    comment: Option<String>,
}

fn parse(cursor: &mut Cursor) -> Result<Arc<dyn OwnStatement>, SqlError> {
    let what = if cursor.accept(&["COLUMN"]) {
        What::Column
    } else if cursor.accept(&["TABLE"]) {
        What::Table
    } else if cursor.accept(&["VIEW"]) {
        What::View
    } else {
        return Err(SqlError::Unsupported {
            what: "COMMENT ON anything but tables, views and columns".into(),
            hint: Some("Write COMMENT ON TABLE, COMMENT ON VIEW or COMMENT ON COLUMN.".into()),
        });
    };
    let mut path = vec![cursor.identifier()?];
    while cursor.accept_sign(&Token::Period) {
        path.push(cursor.identifier()?);
    }
    cursor.expect(&["IS"])?;
    let comment = if cursor.accept(&["NULL"]) { None } else { Some(cursor.string()?) };
    let comment = comment.filter(|comment| !comment.is_empty());
    Ok(Arc::new(Statement { path, what, comment }))
}

impl Statement {
    /// What was written: schema, table or view, column.
    fn names(&self) -> Result<(Option<&str>, &str, Option<&str>), SqlError> {
        let (column, path) = match self.path.split_last() {
            Some((column, path)) if self.what == What::Column => (Some(column.as_str()), path),
            _ => (None, self.path.as_slice()),
        };
        match path {
            [name] => Ok((None, name.as_str(), column)),
            [.., schema, name] => Ok((Some(schema.as_str()), name.as_str(), column)),
            [] => Err(invalid("42601", "column name must be qualified".into())),
        }
    }

    /// A table of ours that it is about: its schema, its name and perhaps a column.
    fn of_table(&self) -> Result<(&'static str, &str, Option<&str>), SqlError> {
        let (schema, table, column) = self.names()?;
        let standard = StandardTable::ALL.into_iter().find(|standard| standard.name() == table);
        let system = system::all().into_iter().find(|system| system.name == table);
        let (schema, columns) = match (schema, standard, system) {
            (None | Some(DEFAULT_SCHEMA), Some(standard), _) => {
                (DEFAULT_SCHEMA, standard.columns().to_vec())
            }
            (Some(SYSTEM_SCHEMA), _, Some(system)) => (SYSTEM_SCHEMA, system.columns),
            (schema, ..) => {
                let shown = schema.map_or_else(String::new, |schema| format!("{schema}."));
                let message = format!("relation \"{shown}{table}\" does not exist");
                return Err(invalid("42P01", message));
            }
        };
        if self.what == What::View {
            return Err(invalid("42809", format!("\"{table}\" is not a view")));
        }
        if let Some(column) = column
            && !columns.iter().any(|known| known.field.name() == column)
        {
            return Err(no_column(column, table));
        }
        Ok((schema, table, column))
    }

    /// Says it of a view, if it is about one.
    fn said_of_view(&self, context: &Context<'_>) -> Result<bool, SqlError> {
        let (schema, name, column) = self.names()?;
        let path: Vec<&str> = schema.into_iter().chain([name]).collect();
        let named = Named::new(&path);
        let found = named.and_then(|named| named.view(&context.views.all(), context.session));
        let Some(found) = found else { return Ok(false) };
        if self.what == What::Table {
            return Err(invalid("42809", format!("\"{name}\" is not a table")));
        }
        let mut change = context.change.lock().unwrap_or_else(PoisonError::into_inner);
        context.views.change(|all| {
            change.views(all, |all| {
                let Some(view) = all.get_mut(&found) else {
                    let message = format!("relation \"{name}\" does not exist");
                    return Err(invalid("42P01", message));
                };
                view.refuse_others(name, context.access)?;
                let view = Arc::make_mut(view);
                let comment = match column {
                    None => &mut view.comment,
                    Some(column) => {
                        let mut columns = view.columns.iter_mut();
                        let found = columns.find(|known| known.name == column);
                        &mut found.ok_or_else(|| no_column(column, name))?.comment
                    }
                };
                comment.clone_from(&self.comment);
                Ok(())
            })
        })?;
        Ok(true)
    }
}

fn no_column(column: &str, relation: &str) -> SqlError {
    invalid("42703", format!("column \"{column}\" of relation \"{relation}\" does not exist"))
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
        if self.said_of_view(context)? {
            return Ok(Answer::Done(Vec::new()));
        }
        let (schema, table, column) = self.of_table()?;
        if !context.access.privileges()?.is_admin {
            let hint = "Only members of vigil_admin may comment.";
            return Err(denied(format!("must be owner of table {table}"), Some(hint)));
        }
        let said = context.comments.say(schema, table, column, self.comment.as_deref())?;
        context.change.lock().unwrap_or_else(PoisonError::into_inner).comment(said);
        Ok(Answer::Done(Vec::new()))
    }
}
