//! PostgreSQL's templates of times in `to_timestamp` and `to_date`, such as `YYYY-MM-DD HH24:MI:SS`, as the
//! ones that DataFusion reads. `to_char`, which writes, has them all (`vigil_udfs::to_char`).
//!
//! A template with `%` is DataFusion's own and stays.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Statement, Value, visit_expressions_mut,
};

use crate::SqlError;

/// Patterns in any case, none before one that begins with it. Those without a counterpart are here so
/// that they are not taken for shorter ones.
const PATTERNS: [(&str, Option<&str>); 20] = [
    ("YYYY", Some("%Y")),
    ("YYY", None),
    ("YY", Some("%y")),
    ("IYYY", Some("%G")),
    ("IW", Some("%V")),
    ("MM", Some("%m")),
    ("DDD", Some("%j")),
    ("DD", Some("%d")),
    ("ID", Some("%u")),
    ("HH24", Some("%H")),
    ("HH12", Some("%I")),
    ("HH", Some("%I")),
    ("MI", Some("%M")),
    ("SSSS", None),
    ("SS", Some("%S")),
    ("MS", Some("%3f")),
    ("US", Some("%6f")),
    ("FM", None),
    ("TH", None),
    ("TZ", None),
];

/// Patterns whose case says how the result is written.
const NAMES: [(&str, &str); 6] =
    [("AM", "%p"), ("PM", "%p"), ("am", "%P"), ("pm", "%P"), ("Mon", "%b"), ("Dy", "%a")];

/// Rewrites the templates in `statement`.
///
/// # Errors
/// SQLSTATE 0A000 for a template that has no counterpart.
pub(super) fn rewrite(statement: &mut Statement) -> Result<(), SqlError> {
    let done: ControlFlow<SqlError> = visit_expressions_mut(statement, |expr| {
        if let Expr::Function(function) = expr
            && is_of_templates(&function.name.to_string())
            && let FunctionArguments::List(list) = &mut function.args
            && let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(format)))] =
                list.args.as_mut_slice()
            && let Value::SingleQuotedString(template) = &mut format.value
            && !template.contains('%')
        {
            match translated(template) {
                Some(translated) => *template = translated,
                None => return ControlFlow::Break(refused(template)),
            }
        }
        ControlFlow::Continue(())
    });
    match done {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn is_of_templates(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    matches!(name, "to_timestamp" | "to_date")
}

fn refused(template: &str) -> SqlError {
    SqlError::Unsupported {
        what: format!("the template \"{template}\""),
        hint: Some(
            "Plain text in a template needs double quotes, as in 'YYYY-MM-DD\"T\"HH24:MI:SS'."
                .into(),
        ),
    }
}

/// The template as DataFusion has it; `None` where it cannot say the same.
fn translated(template: &str) -> Option<String> {
    let mut translated = String::new();
    let mut rest = template;
    while let Some(first) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (text, after) = quoted.split_once('"')?;
            translated.push_str(text);
            rest = after;
            continue;
        }
        if !first.is_alphabetic() {
            translated.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let begins = |pattern: &str| {
            rest.get(..pattern.len()).is_some_and(|start| start.eq_ignore_ascii_case(pattern))
        };
        let named = NAMES.iter().find(|(pattern, _)| rest.starts_with(pattern));
        let (pattern, meaning) = match named {
            Some((pattern, meaning)) if *pattern != "Mon" || !begins("Month") => {
                (pattern, *meaning)
            }
            _ => {
                let (pattern, meaning) = PATTERNS.iter().find(|(pattern, _)| begins(pattern))?;
                (pattern, (*meaning)?)
            }
        };
        translated.push_str(meaning);
        rest = &rest[pattern.len()..];
    }
    Some(translated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_translated_or_refused() {
        let of = |template| translated(template);
        assert_eq!(of("YYYY-MM-DD HH24:MI:SS.US").as_deref(), Some("%Y-%m-%d %H:%M:%S.%6f"));
        assert_eq!(of("yyyymmdd").as_deref(), Some("%Y%m%d"));
        assert_eq!(of("DD Mon YY HH12:MI am").as_deref(), Some("%d %b %y %I:%M %P"));
        assert_eq!(of("YYYY\"T\"HH24").as_deref(), Some("%YT%H"));
        for refused in ["FM999", "Month", "YYYY-MM-DDTHH24", "SSSS", "Q", "\"open"] {
            assert_eq!(of(refused), None, "{refused}");
        }
    }
}
