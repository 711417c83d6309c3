//! `PREPARE name [(type, …)] AS query`.

use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::Command;
use super::execute::is_vector;
use crate::SqlError;
use crate::dialect::{self, Cursor, VECTOR, with_deep_stack};
use crate::session::classify::{Kind, classify};
use crate::session::objects::Named;
use crate::session::{Outcome, Prepared, Session};

/// A parameter's type, and its form where the type alone does not tell it.
type Declared = (Option<DataType>, Option<&'static str>);

/// The statement.
#[derive(Clone, Debug)]
pub(crate) struct Prepare {
    name: String,
    /// What was written between the parentheses.
    types: Option<String>,
    text: String,
    query: Box<ast::Statement>,
}

pub(super) fn parse(cursor: &mut Cursor) -> Result<Command, SqlError> {
    let name = cursor.identifier()?;
    if name == "transaction" && cursor.string().is_ok() {
        return Err(SqlError::Invalid {
            sqlstate: "55000",
            message: "prepared transactions are disabled".into(),
            hint: Some("A transaction ends with COMMIT or ROLLBACK here.".into()),
            position: None,
        });
    }
    let types = if cursor.sees_sign(&Token::LParen) {
        let types = cursor.parenthesised()?;
        Some(cursor.text_of(types).to_owned())
    } else {
        None
    };
    cursor.expect(&["as"])?;
    let tokens = cursor.rest();
    let text = cursor.text_of(tokens).to_owned();
    let query = dialect::parse_part(tokens, cursor.lines())?;
    Ok(Command::Prepare(Prepare { name, types, text, query }))
}

impl Session {
    pub(super) async fn run_prepare(&mut self, prepare: &Prepare) -> Result<Outcome, SqlError> {
        if self.prepared.contains_key(&prepare.name) {
            return Err(SqlError::Invalid {
                sqlstate: "42P05",
                message: format!("prepared statement \"{}\" already exists", prepare.name),
                hint: Some("DEALLOCATE it first.".into()),
                position: None,
            });
        }
        let declared = match &prepare.types {
            Some(types) => self.named_types(types).await?,
            None => Vec::new(),
        };
        let (declared, forms): (Vec<_>, Vec<_>) = declared.into_iter().unzip();
        let mut query = prepare.query.clone();
        if forms.iter().any(Option::is_some) {
            with_deep_stack(|| dialect::declare_forms(&mut query, &forms));
        }
        let kind = classify(&query)?;
        if matches!(kind, Kind::Session(_) | Kind::Own(_)) {
            return Err(SqlError::Unsupported {
                what: "PREPARE of a statement that is no query".into(),
                hint: Some("Prepare SELECT and VALUES; run the others as they are.".into()),
            });
        }
        let views = self.database.views().all();
        let planned = self.prepare_kind(kind, &declared).await?.written(&prepare.text, views);
        let prepared = Prepared { forms: forms.into(), ..planned };
        let text = self.backend.doing().query;
        let named = Named::new(&prepare.name, text.as_str().into(), &prepared, true);
        self.named.insert(prepare.name.clone(), named);
        self.prepared.insert(prepare.name.clone(), prepared);
        Ok(Outcome::done("PREPARE", []))
    }

    /// Arrow's types of a list of SQL's, found by planning casts to them, and which of them are vectors.
    async fn named_types(&self, types: &str) -> Result<Vec<Declared>, SqlError> {
        let casts: Vec<String> = split(types)
            .iter()
            .enumerate()
            .map(|(at, name)| format!("CAST(NULL AS {name}) AS \"{at}\""))
            .collect();
        let statement = dialect::parse_made(&format!("SELECT {}", casts.join(", ")))?;
        let (_, schema) = self.plan(*statement).await?;
        let declared = schema.fields().iter().map(|field| {
            let form = is_vector(field).then_some(VECTOR);
            (Some(field.data_type().clone()), form)
        });
        Ok(declared.collect())
    }
}

/// The parts of a list between commas outside of parentheses.
fn split(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, character) in list.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list[start..].trim());
    parts
}
