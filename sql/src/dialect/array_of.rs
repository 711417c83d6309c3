//! `ARRAY(SELECT …)`, which DataFusion has not: the subquery's rows gathered by `array_agg`, in the
//! subquery's order, and an array of nothing where there are no rows.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArguments, GroupByExpr, OrderByExpr, OrderByKind, Query, SelectItem,
    SetExpr, Statement, Value, Visit, Visitor, visit_expressions_mut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::calls::name_of;

/// Rewrites the constructors in `statement`.
pub(super) fn rewrite(statement: &mut Statement) {
    let _: ControlFlow<()> = visit_expressions_mut(statement, |expr| {
        if let Expr::Function(function) = expr
            && let FunctionArguments::Subquery(query) = &function.args
            && name_of(function).as_deref() == Some("array")
            && let Some(text) = gathered(query)
            && let Some(query) = parsed(&text)
        {
            *expr = Expr::Subquery(Box::new(query));
        }
        ControlFlow::Continue(())
    });
}

fn parsed(text: &str) -> Option<Query> {
    let dialect = PostgreSqlDialect {};
    Some(*Parser::new(&dialect).try_with_sql(text).ok()?.parse_query().ok()?)
}

/// A query of one row with the array.
fn gathered(query: &Query) -> Option<String> {
    let order: &[OrderByExpr] = match query.order_by.as_ref().map(|order| &order.kind) {
        Some(OrderByKind::Expressions(order)) => order,
        Some(OrderByKind::All(_)) => return None,
        None => &[],
    };
    let SetExpr::Select(select) = query.body.as_ref() else {
        // The order of a set operation can only be that of its one column.
        let order = keys(order, |_, options| format!("\"value\"{options}"));
        let (array, query) = (array("\"value\"", &order), query);
        return Some(format!("SELECT {array} FROM ({query}) AS \"rows of the array\"(\"value\")"));
    };
    let [SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. }] =
        select.projection.as_slice()
    else {
        return None;
    };
    let alias = match select.projection.first() {
        Some(SelectItem::ExprWithAlias { alias, .. }) => Some(alias),
        _ => None,
    };
    let is_value = |key: &Expr| match key {
        Expr::Value(number) => matches!(&number.value, Value::Number(number, _) if number == "1"),
        Expr::Identifier(name) if alias.is_some_and(|alias| alias.value == name.value) => true,
        other => other == value,
    };
    let is_ungrouped =
        matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    let is_plain = is_ungrouped
        && select.distinct.is_none()
        && select.having.is_none()
        && query.with.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && !has_call(value)
        && !order.iter().any(|key| has_call(&key.expr));
    if is_plain {
        let order = keys(order, |key, options| {
            if is_value(key) { format!("{value}{options}") } else { format!("{key}{options}") }
        });
        let mut gathering = query.clone();
        gathering.order_by = None;
        let SetExpr::Select(select) = gathering.body.as_mut() else { return None };
        let array = parsed(&format!("SELECT {}", array(&value.to_string(), &order)))?;
        let SetExpr::Select(array) = *array.body else { return None };
        select.projection = array.projection;
        return Some(gathering.to_string());
    }
    // Keys that are no values of the query come out of it as columns of their own.
    let (mut query, mut columns) = (query.clone(), vec!["\"value\"".to_owned()]);
    let mut more = Vec::new();
    let order = keys(order, |key, options| {
        if is_value(key) {
            return format!("\"value\"{options}");
        }
        let name = format!("\"key {}\"", columns.len());
        columns.push(name.clone());
        more.push(SelectItem::UnnamedExpr(key.clone()));
        format!("{name}{options}")
    });
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection.extend(more);
    }
    let (array, columns) = (array("\"value\"", &order), columns.join(", "));
    Some(format!("SELECT {array} FROM ({query}) AS \"rows of the array\"({columns})"))
}

fn array(value: &str, order: &str) -> String {
    format!("coalesce(array_agg({value}{order}), make_array()) AS \"array\"")
}

/// The words of `ORDER BY`, each key with its options in the words of `write`.
fn keys(order: &[OrderByExpr], mut write: impl FnMut(&Expr, &str) -> String) -> String {
    if order.is_empty() {
        return String::new();
    }
    let keys = order.iter().map(|key| {
        let options = key.options.to_string();
        write(&key.expr, &options)
    });
    format!(" ORDER BY {}", keys.collect::<Vec<_>>().join(", "))
}

fn has_call(expr: &Expr) -> bool {
    struct Calls;

    impl Visitor for Calls {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(Function { .. }) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }

    expr.visit(&mut Calls).is_break()
}

#[cfg(test)]
mod tests {
    use crate::dialect::planned;

    #[test]
    fn rows_are_gathered_in_the_order_of_the_subquery() {
        assert_eq!(
            planned("SELECT ARRAY(SELECT x FROM t WHERE y ORDER BY x DESC)"),
            "SELECT (SELECT coalesce(array_agg(x ORDER BY x DESC), make_array()) AS \"array\" FROM t WHERE y)"
        );
        assert_eq!(
            planned("SELECT ARRAY(SELECT DISTINCT x FROM t ORDER BY 1 LIMIT 2)"),
            "SELECT (SELECT coalesce(array_agg(\"value\" ORDER BY \"value\"), make_array()) AS \"array\" \
             FROM (SELECT DISTINCT x FROM t ORDER BY 1 LIMIT 2) AS \"rows of the array\" (\"value\"))"
        );
        assert_eq!(
            planned("SELECT ARRAY(SELECT lower(x) FROM t ORDER BY y)"),
            "SELECT (SELECT coalesce(array_agg(\"value\" ORDER BY \"key 1\"), make_array()) AS \"array\" \
             FROM (SELECT lower(x), y FROM t ORDER BY y) AS \"rows of the array\" (\"value\", \"key 1\"))"
        );
    }
}
