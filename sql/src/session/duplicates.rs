//! Columns of a select list that have the same name. PostgreSQL allows them, DataFusion does not,
//! so they get names of their own for planning; `names` gives the written ones back.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CaseWhen, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    SelectItem, SetExpr, Statement, Value, helpers::attached_token::AttachedToken,
    visit_expressions, visit_expressions_mut,
};

/// Gives each column of the outermost select list a name of its own.
pub(super) fn tell_apart(statement: &mut Statement) {
    if has_calls_alike(statement) {
        tell_casts_apart(statement);
    }
    let Statement::Query(query) = statement else { return };
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let has_wildcard = select
        .projection
        .iter()
        .any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
    let mut seen = BTreeSet::new();
    for (at, item) in select.projection.iter_mut().enumerate() {
        // No name that someone would write.
        let alias = Ident::with_quote('"', format!("column {} of the select list", at + 1));
        match item {
            SelectItem::UnnamedExpr(expr) => {
                // Beside a wildcard, any column may be there twice.
                let is_column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
                if !seen.insert(name_in_plan(expr)) || (has_wildcard && is_column) {
                    let expr = std::mem::replace(expr, Expr::Identifier(Ident::new("")));
                    *item = SelectItem::ExprWithAlias { expr, alias };
                }
            }
            SelectItem::ExprWithAlias { alias: written, .. }
                if !seen.insert(written.value.to_lowercase()) =>
            {
                *written = alias;
            }
            _ => {}
        }
    }
}

/// Gives every column of the outermost select list that has none a name of its own, in all lists of a `UNION`
/// and the like, and tells calls apart that differ in a cast alone: `sum(x), sum(x::float8)`.
pub(super) fn name_all(statement: &mut Statement) {
    tell_casts_apart(statement);
    if let Statement::Query(query) = statement {
        name_columns(&mut query.body);
    }
}

fn name_columns(body: &mut SetExpr) {
    let select = match body {
        SetExpr::Select(select) => select,
        SetExpr::Query(query) => return name_columns(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => {
            name_columns(left);
            return name_columns(right);
        }
        _ => return,
    };
    for (at, item) in select.projection.iter_mut().enumerate() {
        if let SelectItem::UnnamedExpr(expr) = item {
            let alias = Ident::with_quote('"', format!("column {} of the select list", at + 1));
            let expr = std::mem::replace(expr, Expr::Identifier(Ident::new("")));
            *item = SelectItem::ExprWithAlias { expr, alias };
        }
    }
}

/// Whether two calls differ in the cast of an argument alone, so that DataFusion would take them for one:
/// `sum(x::int4), sum(x::int8)`.
fn has_calls_alike(statement: &Statement) -> bool {
    let mut calls: BTreeMap<String, String> = BTreeMap::new();
    visit_expressions(statement, |expr| {
        let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = expr else {
            return ControlFlow::Continue(());
        };
        let has_cast = list.args.iter().any(|argument| {
            matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Cast { .. })))
        });
        if !has_cast {
            return ControlFlow::Continue(());
        }
        let text = expr.to_string();
        let before = calls.entry(name_in_plan(expr)).or_insert_with(|| text.clone());
        if *before == text { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .is_break()
}

/// Puts something around the casts of arguments that differs from one to the other.
fn tell_casts_apart(statement: &mut Statement) {
    let mut casts = 0;
    let _: ControlFlow<()> = visit_expressions_mut(statement, |expr| {
        let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = expr else {
            return ControlFlow::Continue(());
        };
        for argument in &mut list.args {
            if let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument
                && matches!(argument, Expr::Cast { data_type, .. } if is_number(data_type))
            {
                casts += 1;
                let number = || Expr::value(Value::Number(casts.to_string(), false));
                let result = std::mem::replace(argument, number());
                *argument = Expr::Case {
                    case_token: AttachedToken::empty(),
                    end_token: AttachedToken::empty(),
                    operand: Some(Box::new(number())),
                    conditions: vec![CaseWhen { condition: number(), result }],
                    else_result: None,
                };
            }
        }
        ControlFlow::Continue(())
    });
}

/// Types that Arrow tells apart by themselves: others would lose what makes them one.
fn is_number(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::SmallInt(_)
            | DataType::Int2(_)
            | DataType::Int(_)
            | DataType::Integer(_)
            | DataType::Int4(_)
            | DataType::BigInt(_)
            | DataType::Int8(_)
            | DataType::Real
            | DataType::Float4
            | DataType::Float8
            | DataType::Float(_)
            | DataType::DoublePrecision
            | DataType::Double(_)
            | DataType::Numeric(_)
            | DataType::Decimal(_)
    )
}

/// What DataFusion calls a column: casts are left out of the name, and all subqueries are alike.
fn name_in_plan(expr: &Expr) -> String {
    let mut bare = expr.clone();
    let _: ControlFlow<()> = visit_expressions_mut(&mut bare, |part| {
        if let Expr::Cast { expr: inner, .. } | Expr::Nested(inner) = part {
            let inner = std::mem::replace(inner.as_mut(), Expr::Identifier(Ident::new("")));
            *part = inner;
        }
        ControlFlow::Continue(())
    });
    match bare {
        Expr::Subquery(_) => "(<subquery>)".into(),
        other => other.to_string().to_lowercase(),
    }
}
