//! Arrays as PostgreSQL writes them in a text, as `ARRAY[…]`: `'{1,2}'::int[]`, and the paths of
//! `json #> '{a,b}'`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Array, BinaryOperator, DataType, Expr, Statement, Value, visit_expressions_mut,
};

use super::forms;
use crate::SqlError;

/// Rewrites the casts in `statement`.
///
/// # Errors
/// SQLSTATE 22P02 for a text that is no array, 0A000 for arrays in arrays.
pub(super) fn rewrite(statement: &mut Statement) -> Result<(), SqlError> {
    let done = visit_expressions_mut(statement, |expr| {
        let mut are_bytes = false;
        let array = match expr {
            Expr::Cast { expr: inner, data_type: data_type @ DataType::Array(_), .. } => {
                are_bytes = forms::element(data_type) == Some(&DataType::Bytea);
                Some(inner)
            }
            Expr::BinaryOp {
                op: BinaryOperator::HashArrow | BinaryOperator::HashLongArrow,
                right,
                ..
            } => Some(right),
            _ => None,
        };
        if let Some(inner) = array
            && let Expr::Value(value) = inner.as_ref()
            && let Value::SingleQuotedString(text) = &value.value
        {
            match elements(text) {
                // DataFusion reads the empty one.
                Ok(elements) if elements.is_empty() => {}
                Ok(elements) => {
                    let elem = elements.into_iter().map(|element| {
                        let element = Expr::value(match element {
                            Some(text) => Value::SingleQuotedString(text),
                            None => Value::Null,
                        });
                        if are_bytes { forms::cast(element, DataType::Bytea) } else { element }
                    });
                    **inner = Expr::Array(Array { elem: elem.collect(), named: true });
                }
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    });
    match done {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The elements of an array of one dimension, NULLs among them.
///
/// # Errors
/// SQLSTATE 22P02 for a text that is no array, 0A000 for arrays in arrays.
pub(crate) fn elements(text: &str) -> Result<Vec<Option<String>>, SqlError> {
    if let Some(elements) = read(text) {
        return Ok(elements);
    }
    let inner = text.trim();
    if inner.starts_with('[')
        || inner.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with('{'))
    {
        return Err(SqlError::Unsupported {
            what: "an array of more than one dimension".into(),
            hint: Some("Use an array of one dimension, or JSON.".into()),
        });
    }
    Err(SqlError::Invalid {
        sqlstate: "22P02",
        message: format!("malformed array literal: \"{text}\""),
        hint: Some(
            "An array is written as {1,2,NULL}, texts with commas or spaces in quotes.".into(),
        ),
        position: None,
    })
}

/// The elements; `None` for what is no array of one dimension.
fn read(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut elements = Vec::new();
    let mut characters = inner.chars().peekable();
    if inner.trim().is_empty() {
        return Some(elements);
    }
    loop {
        while characters.next_if(|next| next.is_whitespace()).is_some() {}
        let mut element = String::new();
        let is_quoted = characters.next_if_eq(&'"').is_some();
        let mut is_ended = false;
        let mut is_plain = !is_quoted;
        loop {
            match characters.next() {
                None if is_quoted && !is_ended => return None,
                None => {
                    elements.push(finished(element, is_plain)?);
                    return Some(elements);
                }
                Some('\\') => {
                    is_plain = false;
                    element.push(characters.next()?);
                }
                Some('"') if is_quoted && !is_ended => is_ended = true,
                Some(character) if is_quoted && !is_ended => element.push(character),
                Some(',') => {
                    elements.push(finished(element, is_plain)?);
                    break;
                }
                Some(space) if is_ended && space.is_whitespace() => {}
                Some('"' | '{' | '}') => return None,
                Some(_) if is_ended => return None,
                Some(character) => element.push(character),
            }
        }
    }
}

/// An element, NULL among them; `None` for one that is not there, as in `{1,}`.
fn finished(element: String, is_plain: bool) -> Option<Option<String>> {
    if !is_plain {
        return Some(Some(element));
    }
    let element = element.trim_end();
    if element.is_empty() {
        return None;
    }
    Some((!element.eq_ignore_ascii_case("null")).then(|| element.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_array_is_refused() {
        let refused = |text| elements(text).expect_err("is refused").sqlstate();
        assert_eq!(refused("{1,2"), "22P02");
        assert_eq!(refused("{1}2"), "22P02");
        assert_eq!(refused("{{1},{2}}"), "0A000");
        assert_eq!(refused("[0:1]={1,2}"), "0A000");
    }

    #[test]
    fn elements_are_those_that_postgresql_reads() {
        let some = |texts: &[&str]| Some(texts.iter().map(|text| Some((*text).into())).collect());
        let elements = |text: &str| read(text);
        assert_eq!(elements("{1, 2}"), some(&["1", "2"]));
        assert_eq!(elements(r#"{a,"b c","d\"e"}"#), some(&["a", "b c", "d\"e"]));
        assert_eq!(elements(r#"{"NULL",NULL}"#), Some(vec![Some("NULL".into()), None]));
        assert_eq!(elements("{}"), Some(Vec::new()));
        assert_eq!(elements("{{1},{2}}"), None);
        assert_eq!(elements("{\"a}"), None);
        assert_eq!(elements("1,2"), None);
        assert_eq!(elements("{1,2"), None);
        assert_eq!(elements("{1,}"), None);
        assert_eq!(elements(r#"{"",""}"#), some(&["", ""]));
    }
}
