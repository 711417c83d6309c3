//! Columns of sub-queries and of `WITH` that are given no name have PostgreSQL's, so that
//! `SELECT count FROM (SELECT count(*) FROM t) x` finds its column. The outermost list's are named where its
//! answer is described, as they may be alike there.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::replace;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArguments, Ident, Query, Select, SelectItem, SetExpr, Statement, TableFactor,
    Value, VisitMut, VisitorMut,
};

use crate::session::names;

/// Names the columns. Those that would be alike keep DataFusion's names, which tell them apart.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Inner);
}

struct Inner;

impl VisitorMut for Inner {
    type Break = ();

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { lateral, subquery, alias, .. } = table
            && alias.as_ref().is_none_or(|alias| alias.columns.is_empty())
        {
            name_columns(subquery, *lateral);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(select) = first_select(&mut query.body) {
            select.projection.iter_mut().for_each(name_user);
        }
        for table in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            if table.alias.columns.is_empty() {
                name_columns(&mut table.query, false);
            }
        }
        ControlFlow::Continue(())
    }
}

/// What DataFusion knows by another name, or as a value, is called as it is written.
fn name_user(item: &mut SelectItem) {
    let SelectItem::UnnamedExpr(expr) = item else { return };
    let name = match expr {
        Expr::Identifier(name) if name.quote_style.is_none() => name.value.to_ascii_lowercase(),
        Expr::Function(function) if matches!(function.args, FunctionArguments::None) => {
            function.name.to_string().to_ascii_lowercase()
        }
        _ => return,
    };
    const CALLS: [&str; 5] =
        ["current_user", "current_role", "user", "current_catalog", "current_schema"];
    if CALLS.contains(&name.as_str()) {
        let expr = replace(expr, Expr::value(Value::Null));
        *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) };
    }
}

/// `is_lateral` where columns may be those of a table on the left, which DataFusion calls otherwise.
fn name_columns(query: &mut Query, is_lateral: bool) {
    let Some(select) = first_select(&mut query.body) else { return };
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut has_wildcard = false;
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                *known.entry(names::of_expression(expr)).or_default() += 1;
            }
            SelectItem::ExprWithAlias { alias, .. } => {
                *known.entry(names::folded(alias)).or_default() += 1;
            }
            _ => has_wildcard = true,
        }
    }
    let own = is_lateral.then(|| tables(select));
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        let name = names::of_expression(expr);
        let is_own = match expr {
            Expr::Identifier(_) => true,
            Expr::CompoundIdentifier(parts) => own.as_ref().is_none_or(|own| {
                let table = parts.len().checked_sub(2).map(|at| names::folded(&parts[at]));
                table.is_none_or(|table| own.contains(&table))
            }),
            _ => false,
        };
        if is_own || known.get(&name) != Some(&1) || (has_wildcard && may_be_a_column(expr)) {
            continue;
        }
        let expr = replace(expr, Expr::value(Value::Null));
        *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) };
    }
}

/// The names of the tables that a `SELECT` is from.
fn tables(select: &Select) -> BTreeSet<String> {
    let joined = select.from.iter().flat_map(|table| {
        std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation))
    });
    let name = |table: &TableFactor| match table {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. } => Some(names::folded(&alias.name)),
        TableFactor::Table { name, .. } => {
            name.0.last().and_then(|part| part.as_ident()).map(names::folded)
        }
        _ => None,
    };
    joined.filter_map(name).collect()
}

/// Whether an expression takes the name of a column in it, which a wildcard may stand for as well.
fn may_be_a_column(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Cast { .. }
            | Expr::Case { .. }
            | Expr::Nested(_)
            | Expr::Collate { .. }
            | Expr::Subquery(_)
            | Expr::CompoundFieldAccess { .. }
    )
}

/// The `SELECT` that names the columns.
fn first_select(body: &mut SetExpr) -> Option<&mut Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => first_select(&mut query.body),
        SetExpr::SetOperation { left, .. } => first_select(left),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::dialect::{StatementKind, parse};

    fn planned(sql: &str) -> String {
        let statements = parse(sql).expect(sql);
        match statements[0].kind() {
            StatementKind::Ordinary(statement) => statement.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn columns_without_a_name_get_postgresqls() {
        for (columns, named) in [
            ("count(*)", "count(*) AS \"count\""),
            ("max(a), min(a)", "max(a) AS \"max\", min(a) AS \"min\""),
            ("a + 1", "a + 1 AS \"?column?\""),
            ("a::int", "a::INT AS \"a\""),
            ("a, b.c, a AS d", "a, b.c, a AS d"),
            // They are alike, or may be.
            ("max(a), max(b)", "max(a), max(b)"),
            ("count(*), a AS count", "count(*), a AS count"),
            ("*, a::int", "*, a::INT"),
        ] {
            assert_eq!(
                planned(&format!("SELECT 1 FROM (SELECT {columns} FROM t) x")),
                format!("SELECT 1 FROM (SELECT {named} FROM t) x")
            );
            assert_eq!(
                planned(&format!("WITH x AS (SELECT {columns} FROM t UNION SELECT 1) SELECT 1")),
                format!("WITH x AS (SELECT {named} FROM t UNION SELECT 1) SELECT 1")
            );
        }
        assert_eq!(
            planned("SELECT 1 FROM t, LATERAL (SELECT t.a, u.b FROM u) x"),
            "SELECT 1 FROM t, LATERAL (SELECT t.a AS \"a\", u.b FROM u) x"
        );
        let named = "SELECT 1 FROM (SELECT count(*) FROM t) x (a)";
        assert_eq!(planned(named), named);
        assert_eq!(planned("SELECT count(*) FROM t"), "SELECT count(*) FROM t");
        assert!(planned("SELECT current_user").ends_with(" AS \"current_user\""));
    }
}
