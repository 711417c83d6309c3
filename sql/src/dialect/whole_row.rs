//! A subquery's name as a record of its columns: `row_to_json(t)`, `json_agg(t)` and their like. DataFusion
//! knows no such records, so the columns are written out, where the subquery tells their names.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, Select,
    SelectItem, SetExpr, Statement, TableFactor, Value, VisitMut, VisitorMut,
    visit_expressions_mut,
};

use super::calls::{call, name_of};
use crate::session::names;

const FUNCTIONS: [&str; 5] = ["row_to_json", "to_json", "to_jsonb", "json_agg", "jsonb_agg"];

/// Rewrites the calls in `statement`.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Rows);
}

struct Rows;

impl VisitorMut for Rows {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Select(select) = query.body.as_mut() {
            write_out(select);
        }
        ControlFlow::Continue(())
    }
}

fn write_out(select: &mut Select) {
    let tables = select.from.iter().flat_map(|from| {
        std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
    });
    let rows: BTreeMap<String, (Ident, Vec<Ident>)> = tables.filter_map(columns).collect();
    if rows.is_empty() {
        return;
    }
    let is_column = |name: &str| {
        rows.values().any(|(_, columns)| columns.iter().any(|column| column.value == name))
    };
    for item in &mut select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            continue;
        };
        let _: ControlFlow<()> = visit_expressions_mut(expr, |part| {
            if let Expr::Function(function) = part
                && let Some(argument) = row_argument(function)
                && let Expr::Identifier(name) = argument
                && !is_column(&name.value)
                && let Some((table, columns)) = rows.get(&name.value.to_lowercase())
            {
                *argument = record(table, columns);
            }
            ControlFlow::Continue(())
        });
    }
}

fn row_argument(function: &mut Function) -> Option<&mut Expr> {
    let name = name_of(function)?;
    let FunctionArguments::List(list) = &mut function.args else { return None };
    match list.args.as_mut_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))]
            if FUNCTIONS.contains(&name.as_str()) =>
        {
            Some(argument)
        }
        _ => None,
    }
}

/// The name of a subquery and its columns, if all of them are told.
fn columns(table: &TableFactor) -> Option<(String, (Ident, Vec<Ident>))> {
    let TableFactor::Derived { subquery, alias: Some(alias), .. } = table else { return None };
    let columns = if alias.columns.is_empty() {
        let SetExpr::Select(select) = subquery.body.as_ref() else { return None };
        let name = |item: &SelectItem| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(alias.clone()),
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Some(ident.clone()),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().cloned(),
            // PostgreSQL's names of other columns are not DataFusion's inside of a query.
            _ => None,
        };
        select.projection.iter().map(name).collect::<Option<Vec<_>>>()?
    } else {
        alias.columns.iter().map(|column| column.name.clone()).collect()
    };
    Some((alias.name.value.to_lowercase(), (alias.name.clone(), columns)))
}

fn record(table: &Ident, columns: &[Ident]) -> Expr {
    let fields = columns.iter().flat_map(|column| {
        let name = names::of_expression(&Expr::Identifier(column.clone()));
        let value = Expr::CompoundIdentifier(vec![table.clone(), column.clone()]);
        [Expr::value(Value::SingleQuotedString(name)), value]
    });
    call("named_struct", fields.collect())
}
