//! Calls, operators and casts that PostgreSQL has and DataFusion knows under another name, in another form
//! or with another meaning.

use std::mem::replace;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, DataType, DuplicateTreatment, Expr, Function,
    FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList, FunctionArguments,
    Ident, ObjectName, OrderByExpr, OrderByOptions, Query, Select, SelectItem, SetExpr, Statement,
    Subscript, TimezoneInfo, UnaryOperator, Value, ValueWithSpan, VisitMut, VisitorMut,
    visit_expressions_mut,
};

use super::{forms, lengths};
use crate::SqlError;
use crate::session::names;

/// Rewrites the expressions of `statement`; columns of select lists keep the names that PostgreSQL gives
/// them.
///
/// # Errors
/// For named arguments that a function does not have.
pub(super) fn rewrite(statement: &mut Statement) -> Result<(), SqlError> {
    let _ = statement.visit(&mut Names);
    match visit_expressions_mut(statement, change) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn change(expr: &mut Expr) -> ControlFlow<SqlError> {
    let taken = replace(expr, Expr::value(Value::Null));
    match changed(taken) {
        Ok(changed) => {
            *expr = changed;
            ControlFlow::Continue(())
        }
        Err(error) => ControlFlow::Break(error),
    }
}

/// Names the columns of select lists that would have another name afterwards.
struct Names;

impl VisitorMut for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Select(select) = query.body.as_mut() {
            name_columns(select);
        }
        ControlFlow::Continue(())
    }
}

fn name_columns(select: &mut Select) {
    for item in &mut select.projection {
        if let SelectItem::ExprWithAlias { expr, .. } = item
            && let Some(shown) = lengths::shown(expr)
        {
            *expr = shown;
        }
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        if let Some(shown) = lengths::shown(expr) {
            let alias = Ident::with_quote('"', names::of_expression(expr));
            *item = SelectItem::ExprWithAlias { expr: shown, alias };
            continue;
        }
        let mut afterwards = expr.clone();
        let _ = visit_expressions_mut(&mut afterwards, change);
        let name = names::of_expression(expr);
        if name != names::of_expression(&afterwards) {
            let expr = replace(expr, Expr::value(Value::Null));
            let alias = Ident::with_quote('"', name);
            *item = SelectItem::ExprWithAlias { expr, alias };
        }
    }
}

fn changed(expr: Expr) -> Result<Expr, SqlError> {
    Ok(match expr {
        Expr::SimilarTo { negated, expr, pattern, escape_char } => {
            let mut args = vec![*pattern];
            args.extend(escape_char.map(Expr::Value));
            let op = match negated {
                true => BinaryOperator::PGRegexNotMatch,
                false => BinaryOperator::PGRegexMatch,
            };
            let right = Box::new(call("similar_to_escape", args));
            Expr::Nested(Box::new(Expr::BinaryOp { left: expr, op, right }))
        }
        Expr::CompoundFieldAccess { root, access_chain } => {
            let access_chain = access_chain.into_iter().map(with_bounds).collect();
            Expr::CompoundFieldAccess { root, access_chain }
        }
        Expr::Like { negated, any: true, expr, pattern, escape_char } => {
            like_any(negated, *expr, *pattern, escape_char, true)
        }
        Expr::ILike { negated, any: true, expr, pattern, escape_char } => {
            like_any(negated, *expr, *pattern, escape_char, false)
        }
        Expr::AtTimeZone { timestamp, time_zone } => call("timezone", vec![*time_zone, *timestamp]),
        // `substring(text FROM pattern)` is what the pattern's first group matches, or all of it.
        Expr::Substring { expr, substring_from: Some(from), substring_for: None, .. }
            if is_text(&from) =>
        {
            let matched = call("regexp_match", vec![*expr, *from]);
            let first = Subscript::Index { index: number("1") };
            Expr::CompoundFieldAccess {
                root: Box::new(matched),
                access_chain: vec![AccessExpr::Subscript(first)],
            }
        }
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => negative(*expr),
        Expr::UnaryOp { op, expr } => match op {
            // All bits turned over are one less than the number's negative.
            UnaryOperator::BitwiseNot => {
                let op = BinaryOperator::Minus;
                let minus_one =
                    Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(number("1")) };
                let left = Box::new(minus_one);
                Expr::Nested(Box::new(Expr::BinaryOp { left, op, right: expr }))
            }
            UnaryOperator::PGSquareRoot => call("sqrt", vec![*expr]),
            UnaryOperator::PGCubeRoot => call("cbrt", vec![*expr]),
            UnaryOperator::PGAbs => call("abs", vec![*expr]),
            op => Expr::UnaryOp { op, expr },
        },
        Expr::BinaryOp { left, op, right } => match op {
            // A point stands for a line's end, too.
            BinaryOperator::PGRegexMatch
            | BinaryOperator::PGRegexIMatch
            | BinaryOperator::PGRegexNotMatch
            | BinaryOperator::PGRegexNotIMatch => {
                Expr::BinaryOp { left, op, right: over_lines(right) }
            }
            BinaryOperator::PGOverlap => call("array_has_any", vec![*left, *right]),
            BinaryOperator::PGStartsWith => call("starts_with", vec![*left, *right]),
            op => Expr::BinaryOp { left, op, right },
        },
        Expr::Cast { kind, expr, data_type, array, format } => {
            if let Some(name) = function_type(&data_type) {
                return Ok(call(name, vec![*expr]));
            }
            if let Some(name) = forms::list_function(&data_type) {
                return Ok(call(name, vec![forms::as_texts(*expr)]));
            }
            let Some(length) = lengths::of(&data_type)? else {
                let data_type = if is_name(&data_type) { DataType::Text } else { data_type };
                return Ok(Expr::Cast { kind, expr, data_type, array, format });
            };
            let text = Expr::Cast { kind, expr, data_type: DataType::Text, array, format };
            length.cut(text)
        }
        Expr::TypedString(typed) => match function_type(&typed.data_type) {
            Some(name) => call(name, vec![Expr::Value(typed.value)]),
            None => Expr::TypedString(typed),
        },
        // DataFusion plans its own function for it, whatever is registered under the name.
        Expr::Extract { field, expr, .. } => {
            let part = Expr::value(Value::SingleQuotedString(field.to_string().to_lowercase()));
            call("date_part", vec![part, *expr])
        }
        Expr::Array(array) => forms::array(array),
        Expr::Identifier(name) if name.quote_style.is_none() => {
            bare_call(&name.value).unwrap_or(Expr::Identifier(name))
        }
        Expr::Function(function) => changed_call(function)?,
        other => other,
    })
}

/// The call that a name is without its parentheses; sqlparser takes some for columns, which none is called.
fn bare_call(name: &str) -> Option<Expr> {
    const CALLS: [(&str, &str); 3] = [
        ("current_role", "current_user"),
        ("current_catalog", "current_database"),
        ("current_schema", "current_schema"),
    ];
    let (_, function) = CALLS.into_iter().find(|(bare, _)| name.eq_ignore_ascii_case(bare))?;
    Some(call(function, Vec::new()))
}

/// A slice with the bounds that it leaves out: the first element, and more than any array has.
fn with_bounds(access: AccessExpr) -> AccessExpr {
    match access {
        AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride }) => {
            let lower_bound = lower_bound.or_else(|| Some(number("1")));
            let upper_bound = upper_bound.or_else(|| Some(number("2147483647")));
            AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride })
        }
        other => other,
    }
}

/// `LIKE ANY` of an array that is written out, as `LIKE` of one pattern or another.
fn like_any(
    negated: bool,
    expr: Expr,
    pattern: Expr,
    escape_char: Option<ValueWithSpan>,
    is_exact: bool,
) -> Expr {
    let like = |any, expr: Expr, pattern: Expr| {
        let (expr, pattern, escape_char) = (Box::new(expr), Box::new(pattern), escape_char.clone());
        match is_exact {
            true => Expr::Like { negated, any, expr, pattern, escape_char },
            false => Expr::ILike { negated, any, expr, pattern, escape_char },
        }
    };
    let mut array = &pattern;
    while let Expr::Nested(inner) | Expr::Cast { expr: inner, .. } = array {
        array = inner.as_ref();
    }
    let patterns = match array {
        Expr::Array(array) => array.elem.clone(),
        _ => Vec::new(),
    };
    let likes = patterns.into_iter().map(|pattern| like(false, expr.clone(), pattern));
    let all = likes.reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::Or,
        right: Box::new(right),
    });
    match all {
        Some(all) => Expr::Nested(Box::new(all)),
        None => like(true, expr, pattern),
    }
}

/// The negative of `expr`. In PostgreSQL the sign binds more tightly than `^`, so it goes to the first
/// base; and DataFusion drops the sign of an interval that is written out.
fn negative(expr: Expr) -> Expr {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::PGExp, right } => {
            Expr::BinaryOp { left: Box::new(negative(*left)), op: BinaryOperator::PGExp, right }
        }
        Expr::Interval(interval) => {
            let expr = Box::new(Expr::Nested(Box::new(Expr::Interval(interval))));
            Expr::UnaryOp { op: UnaryOperator::Minus, expr }
        }
        other => Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(other) },
    }
}

fn changed_call(mut function: Function) -> Result<Expr, SqlError> {
    let Some(name) = name_of(&function) else { return Ok(Expr::Function(function)) };
    in_order_if_distinct(&name, &mut function);
    let renamed = match name.as_str() {
        "every" => "bool_and",
        "variance" => "var_samp",
        // DataFusion's function of the name takes the first one out alone.
        "array_remove" => "array_remove_all",
        "statement_timestamp" | "transaction_timestamp" => "now",
        _ => "",
    };
    if !renamed.is_empty() {
        function.name = ObjectName::from(vec![Ident::new(renamed)]);
        return Ok(Expr::Function(function));
    }
    let list_maker = match name.as_str() {
        "json_agg" => "json_of_list",
        "jsonb_agg" => "jsonb_of_list",
        "json_object_agg" => "json_of_lists",
        "jsonb_object_agg" => "jsonb_of_lists",
        _ => "",
    };
    if !list_maker.is_empty() {
        return Ok(Expr::Nested(Box::new(call(list_maker, lists(function)))));
    }
    let FunctionArguments::List(list) = &mut function.args else {
        return Ok(match name.as_str() {
            "localtimestamp" => Expr::Cast {
                kind: CastKind::DoubleColon,
                expr: Box::new(call("now", Vec::new())),
                data_type: DataType::Timestamp(None, TimezoneInfo::None),
                array: false,
                format: None,
            },
            "localtime" => Expr::Cast {
                kind: CastKind::DoubleColon,
                expr: Box::new(call("now", Vec::new())),
                data_type: DataType::Time(None, TimezoneInfo::None),
                array: false,
                format: None,
            },
            "user" | "current_role" | "current_user" => call("current_user", Vec::new()),
            "session_user" => call("session_user", Vec::new()),
            name => bare_call(name).unwrap_or(Expr::Function(function)),
        });
    };
    match name.as_str() {
        "date" if list.args.len() == 1 => {
            if let Some(expr) = list.args.pop().and_then(unnamed) {
                return Ok(Expr::Cast {
                    kind: CastKind::DoubleColon,
                    expr: Box::new(expr),
                    data_type: DataType::Date,
                    array: false,
                    format: None,
                });
            }
        }
        "make_interval" => {
            const PARTS: [&str; 7] = ["years", "months", "weeks", "days", "hours", "mins", "secs"];
            in_places(&name, &mut list.args, &PARTS)?;
        }
        // The parts of another zone's time.
        "make_timestamptz" if list.args.len() == 7 => {
            if let Some(zone) = list.args.pop().and_then(unnamed) {
                function.name = ObjectName::from(vec![Ident::new("make_timestamp")]);
                return Ok(call("timezone", vec![zone, Expr::Function(function)]));
            }
        }
        // A number that is written is an integer, where DataFusion has a bigint. So the sum of
        // `CASE WHEN … THEN 1 ELSE 0 END` is a bigint, and that of bigints would be a numeric.
        "to_hex" | "sum" => {
            if let [FunctionArg::Unnamed(FunctionArgExpr::Expr(number))] = list.args.as_mut_slice()
                && is_integer(number)
            {
                let expr = Box::new(replace(number, Expr::value(Value::Null)));
                *number = Expr::Cast {
                    kind: CastKind::DoubleColon,
                    expr,
                    data_type: DataType::Integer(None),
                    array: false,
                    format: None,
                };
            }
        }
        "mod" if list.args.len() == 2 => {
            let args: Option<Vec<Expr>> = list.args.iter().cloned().map(unnamed).collect();
            if let Some(Ok([number, by])) = args.map(<[Expr; 2]>::try_from) {
                let nested = |expr| Box::new(Expr::Nested(Box::new(expr)));
                let (left, right) = (nested(number), nested(by));
                let rest = Expr::BinaryOp { left, op: BinaryOperator::Modulo, right };
                return Ok(Expr::Nested(Box::new(rest)));
            }
        }
        "date_trunc" if list.args.len() == 3 => {
            let args: Option<Vec<Expr>> = list.args.iter().cloned().map(unnamed).collect();
            if let Some(Ok([part, time, zone])) = args.map(<[Expr; 3]>::try_from) {
                let local = call("timezone", vec![zone.clone(), time]);
                return Ok(call("timezone", vec![zone, call("date_trunc", vec![part, local])]));
            }
        }
        _ => {}
    }
    Ok(Expr::Function(function))
}

/// PostgreSQL sorts the values of `array_agg(DISTINCT …)` to find equal ones, and clients see it.
fn in_order_if_distinct(name: &str, function: &mut Function) {
    let is_one = matches!(name, "array_agg" | "string_agg" | "json_agg" | "jsonb_agg");
    if !is_one || function.over.is_some() {
        return;
    }
    let FunctionArguments::List(list) = &mut function.args else { return };
    let is_ordered =
        list.clauses.iter().any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_)));
    if list.duplicate_treatment != Some(DuplicateTreatment::Distinct) || is_ordered {
        return;
    }
    if let Some(expr) = list.args.first().cloned().and_then(unnamed) {
        let options = OrderByOptions { asc: None, nulls_first: None };
        let key = OrderByExpr { expr, options, with_fill: None };
        list.clauses.push(FunctionArgumentClause::OrderBy(vec![key]));
    }
}

/// The arguments of an aggregate, each gathered into a list in the same order.
fn lists(function: Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let gathered = list.args.iter().map(|argument| {
        let mut gather = function.clone();
        gather.name = ObjectName::from(vec![Ident::new("array_agg")]);
        let list = FunctionArgumentList { args: vec![argument.clone()], ..list.clone() };
        gather.args = FunctionArguments::List(list);
        Expr::Function(gather)
    });
    gathered.collect()
}

/// Puts named arguments into their places, with 0 for those that are not given.
fn in_places(function: &str, args: &mut Vec<FunctionArg>, names: &[&str]) -> Result<(), SqlError> {
    let zero = || FunctionArg::Unnamed(FunctionArgExpr::Expr(number("0")));
    let mut placed: Vec<FunctionArg> = names.iter().map(|_| zero()).collect();
    for (at, argument) in args.drain(..).enumerate() {
        let (place, value) = match argument {
            FunctionArg::Named { name, arg, .. } => {
                let name = name.value.to_lowercase();
                (names.iter().position(|known| **known == name), FunctionArg::Unnamed(arg))
            }
            FunctionArg::ExprNamed { name: Expr::Identifier(name), arg, .. } => {
                let name = name.value.to_lowercase();
                (names.iter().position(|known| **known == name), FunctionArg::Unnamed(arg))
            }
            other => (Some(at), other),
        };
        match place.and_then(|place| placed.get_mut(place)) {
            Some(place) => *place = value,
            None => {
                return Err(SqlError::Invalid {
                    sqlstate: "42883",
                    message: format!("function {function} does not exist with these arguments"),
                    hint: Some(format!("Its arguments are {}.", names.join(", "))),
                    position: None,
                });
            }
        }
    }
    *args = placed;
    Ok(())
}

/// The name of a function that is PostgreSQL's own, in lower case.
pub(super) fn name_of(function: &Function) -> Option<String> {
    let name = function.name.to_string().to_ascii_lowercase();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    (!name.contains('.')).then(|| name.to_owned())
}

fn unnamed(argument: FunctionArg) -> Option<Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

/// The function that a cast to a type is, for types that are texts of a form.
fn function_type(data_type: &DataType) -> Option<&'static str> {
    match data_type {
        DataType::Uuid => Some("uuid"),
        DataType::JSON => Some("json"),
        DataType::JSONB => Some("jsonb"),
        _ => None,
    }
}

/// A pattern that is written out, of which a point matches a line's end as in PostgreSQL.
fn over_lines(mut pattern: Box<Expr>) -> Box<Expr> {
    if let Expr::Value(value) = pattern.as_mut()
        && let Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) =
            &mut value.value
        && text.contains('.')
    {
        text.insert_str(0, "(?s)");
    }
    pattern
}

/// PostgreSQL's type of names, which is a text here.
fn is_name(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Custom(name, _) if matches!(
        name.to_string().to_ascii_lowercase().as_str(),
        "name" | "pg_catalog.name"
    ))
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(
        value.value,
        Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_) | Value::DollarQuotedString(_)
    ))
}

/// Whether `expr` is a number of an `integer`, with or without a sign, or one of several.
fn is_integer(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => {
            is_integer(inner)
        }
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse::<i32>().is_ok(),
            _ => false,
        },
        Expr::Case { conditions, else_result, .. } => {
            let is_null = |expr: &Expr| matches!(expr, Expr::Value(value) if matches!(value.value, Value::Null));
            let mut results = conditions
                .iter()
                .map(|condition| &condition.result)
                .chain(else_result.as_deref())
                .filter(|result| !is_null(result))
                .peekable();
            results.peek().is_some() && results.all(is_integer)
        }
        _ => false,
    }
}

fn number(text: &str) -> Expr {
    Expr::value(Value::Number(text.into(), false))
}

/// A call of a function.
pub(crate) fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use crate::dialect::{parse, planned};

    #[test]
    fn columns_keep_the_names_that_postgresql_gives_them() {
        assert_eq!(planned("SELECT every(x) FROM t"), "SELECT bool_and(x) AS \"every\" FROM t");
        assert_eq!(planned("SELECT count(*) FROM t"), "SELECT count(*) FROM t");
        assert_eq!(
            planned("SELECT ts AT TIME ZONE 'UTC' FROM t"),
            "SELECT timezone('UTC', ts) FROM t"
        );
        assert_eq!(planned("SELECT x::json FROM t"), "SELECT json(x) AS \"x\" FROM t");
    }

    #[test]
    fn lengths_of_texts_are_kept() {
        assert_eq!(
            planned("SELECT x::varchar(2), x::char(3), x::char(3) || 'y' FROM t"),
            "SELECT left(x::TEXT, 2) AS \"x\", rpad(rtrim(left(x::TEXT, 3)), 3) AS \"x\", \
             rtrim(left(x::TEXT, 3)) || 'y' FROM t"
        );
        assert_eq!(parse("SELECT x::char(0)").expect_err("is none").sqlstate(), "22023");
    }

    #[test]
    fn named_arguments_go_to_their_places() {
        assert_eq!(
            planned("SELECT make_interval(days => 10, secs => 1.5)"),
            "SELECT make_interval(0, 0, 0, 10, 0, 0, 1.5)"
        );
        let error = parse("SELECT make_interval(day => 10)").expect_err("has no day");
        assert_eq!(error.sqlstate(), "42883");
    }

    #[test]
    fn an_aggregate_of_json_keeps_its_clauses() {
        assert_eq!(
            planned("SELECT json_agg(DISTINCT x ORDER BY x) FILTER (WHERE x > 1) AS a FROM t"),
            "SELECT (json_of_list(array_agg(DISTINCT x ORDER BY x) FILTER (WHERE x > 1))) AS a FROM t"
        );
    }
}
