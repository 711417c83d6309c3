//! Arrays as PostgreSQL writes them in a text, as `ARRAY[…]`: `'{1,2}'::int[]`, and the paths of
//! `json #> '{a,b}'`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Array, BinaryOperator, DataType, Expr, Statement, Value, visit_expressions_mut,
};

/// Rewrites the casts in `statement`. Arrays in arrays stay as they are.
pub(super) fn rewrite(statement: &mut Statement) {
    let _: ControlFlow<()> = visit_expressions_mut(statement, |expr| {
        let array = match expr {
            Expr::Cast { expr: inner, data_type: DataType::Array(_), .. } => Some(inner),
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
            && let Some(elements) = elements(text)
            && !elements.is_empty()
        {
            let elem = elements.into_iter().map(|element| match element {
                Some(text) => Expr::value(Value::SingleQuotedString(text)),
                None => Expr::value(Value::Null),
            });
            **inner = Expr::Array(Array { elem: elem.collect(), named: true });
        }
        ControlFlow::Continue(())
    });
}

/// The elements, NULLs among them; `None` for what is no array of one dimension.
fn elements(text: &str) -> Option<Vec<Option<String>>> {
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
                    elements.push(finished(element, is_plain));
                    return Some(elements);
                }
                Some('\\') => {
                    is_plain = false;
                    element.push(characters.next()?);
                }
                Some('"') if is_quoted && !is_ended => is_ended = true,
                Some(character) if is_quoted && !is_ended => element.push(character),
                Some(',') => {
                    elements.push(finished(element, is_plain));
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

fn finished(element: String, is_plain: bool) -> Option<String> {
    if !is_plain {
        return Some(element);
    }
    let element = element.trim_end();
    (!element.eq_ignore_ascii_case("null")).then(|| element.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_those_that_postgresql_reads() {
        let some = |texts: &[&str]| Some(texts.iter().map(|text| Some((*text).into())).collect());
        assert_eq!(elements("{1, 2}"), some(&["1", "2"]));
        assert_eq!(elements(r#"{a,"b c","d\"e"}"#), some(&["a", "b c", "d\"e"]));
        assert_eq!(elements(r#"{"NULL",NULL}"#), Some(vec![Some("NULL".into()), None]));
        assert_eq!(elements("{}"), Some(Vec::new()));
        assert_eq!(elements("{{1},{2}}"), None);
        assert_eq!(elements("{\"a}"), None);
        assert_eq!(elements("1,2"), None);
    }
}
