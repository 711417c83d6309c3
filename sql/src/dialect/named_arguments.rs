//! `vector_search('captions', 'a red truck', similarity_threshold => 0.7)`: arguments of the searches in `FROM` by
//! their names, with `=>` or PostgreSQL's older `:=`, put into their places.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, Statement, TableFactor, Value, VisitMut,
    VisitorMut,
};

use crate::SqlError;
use crate::session::names::folded;

/// The functions with the names of their arguments.
const FUNCTIONS: [(&str, &[&str]); 3] = [
    ("vector_search", &["table", "text", "k", "similarity_threshold", "metric", "model"]),
    ("hybrid_search", &["table", "text", "k", "model"]),
    ("similar_tracks", &["source", "track_id", "k", "similarity_threshold"]),
];

/// Rewrites the calls in `statement`.
///
/// # Errors
/// SQLSTATE 42883 for a name that no argument has, 42601 for one that is there twice and for an argument without
/// a name behind one with a name.
pub(super) fn rewrite(statement: &mut Statement) -> Result<(), SqlError> {
    match statement.visit(&mut Calls) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Calls;

impl VisitorMut for Calls {
    type Break = SqlError;

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<SqlError> {
        let (name, arguments) = match table {
            TableFactor::Table { name, args: Some(args), .. } => (name, &mut args.args),
            TableFactor::Function { name, args, .. } => (name, args),
            _ => return ControlFlow::Continue(()),
        };
        let name = name.to_string().to_ascii_lowercase();
        if let Some((function, names)) = FUNCTIONS.into_iter().find(|(known, _)| *known == name) {
            match in_places(function, names, arguments) {
                Ok(Some(placed)) => *arguments = placed,
                Ok(None) => {}
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }
}

/// The arguments in their places, NULL where there is none; `None` where none has a name.
fn in_places(
    function: &str,
    names: &[&str],
    arguments: &[FunctionArg],
) -> Result<Option<Vec<FunctionArg>>, SqlError> {
    let Some(first) = arguments.iter().position(|argument| named(argument).is_some()) else {
        return Ok(None);
    };
    let (before, rest) = arguments.split_at(first);
    let mut placed: Vec<Option<FunctionArg>> = before.iter().cloned().map(Some).collect();
    for argument in rest {
        let Some((name, value)) = named(argument) else {
            let message = "positional argument cannot follow named argument".into();
            return Err(invalid("42601", message, names));
        };
        let Some(at) = names.iter().position(|known| *known == name) else {
            let message = format!("function {function} has no argument named \"{name}\"");
            return Err(invalid("42883", message, names));
        };
        if placed.len() <= at {
            placed.resize(at + 1, None);
        }
        if placed[at].is_some() {
            let message = format!("argument name \"{name}\" used more than once");
            return Err(invalid("42601", message, names));
        }
        placed[at] = Some(unnamed(value.clone()));
    }
    let null = || unnamed(Expr::value(Value::Null));
    Ok(Some(placed.into_iter().map(|argument| argument.unwrap_or_else(null)).collect()))
}

/// The name and the value of an argument that has a name.
fn named(argument: &FunctionArg) -> Option<(String, &Expr)> {
    match argument {
        FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => {
            Some((folded(name), value))
        }
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp {
            left,
            op: BinaryOperator::Assignment,
            right,
        })) => match left.as_ref() {
            Expr::Identifier(name) => Some((folded(name), right.as_ref())),
            _ => None,
        },
        _ => None,
    }
}

fn unnamed(value: Expr) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(value))
}

fn invalid(sqlstate: &'static str, message: String, names: &[&str]) -> SqlError {
    let hint = format!("Its arguments are {}, in this order or by their names.", names.join(", "));
    SqlError::Invalid { sqlstate, message, hint: Some(hint), position: None }
}

#[cfg(test)]
mod tests {
    use crate::dialect::{parse, planned};

    #[test]
    fn arguments_come_into_their_places() {
        for (arguments, wanted) in [
            ("'captions', 'a', similarity_threshold => 0.7", "'captions', 'a', NULL, 0.7"),
            ("'captions', 'a', k := 3", "'captions', 'a', 3"),
            (
                "'captions', text => 'a', METRIC => 'cosine', k => 3",
                "'captions', 'a', 3, NULL, 'cosine'",
            ),
            ("'captions', 'a', 3", "'captions', 'a', 3"),
        ] {
            assert_eq!(
                planned(&format!("SELECT * FROM vector_search({arguments})")),
                format!("SELECT * FROM vector_search({wanted})")
            );
        }
    }

    #[test]
    fn wrong_names_are_refused() {
        for (arguments, sqlstate) in [
            ("'captions', 'a', limit_rows => 3", "42883"),
            ("'captions', 'a', k => 3, k => 4", "42601"),
            ("'captions', text => 'a', 3", "42601"),
        ] {
            let error = parse(&format!("SELECT * FROM vector_search({arguments})"));
            assert_eq!(error.expect_err(arguments).sqlstate(), sqlstate, "{arguments}");
        }
    }
}
