//! Functions that give rows, in a select list and in `FROM`: `json_array_elements`, `json_each`,
//! `regexp_split_to_table` and their like. DataFusion has `unnest` alone, so there are functions that give
//! lists, and these are unnested. One whose arguments are columns of the table before it in `FROM` is not
//! planned: DataFusion does not unnest what another table gives.

use std::mem::replace;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArguments, Ident, ObjectName, Query, SelectItem, SetExpr,
    Statement, TableAlias, TableAliasColumnDef, TableFactor, Value, VisitMut, VisitorMut,
    visit_expressions_mut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::calls::{call, name_of};

/// Rewrites the calls in `statement`.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Rows);
}

/// A column of such a function: the function of lists, whether its items are JSON, and the column's name,
/// where that is not the table's.
struct Column {
    list: &'static str,
    is_json: bool,
    name: Option<&'static str>,
}

const fn column(list: &'static str, is_json: bool, name: Option<&'static str>) -> Column {
    Column { list, is_json, name }
}

fn columns(name: &str) -> &'static [Column] {
    const ELEMENTS: [Column; 1] = [column("json_elements", true, Some("value"))];
    const TEXTS: [Column; 1] = [column("json_elements_text", false, Some("value"))];
    const NAMES: [Column; 1] = [column("json_names", false, None)];
    const EACH: [Column; 2] =
        [column("json_names", false, Some("key")), column("json_values", true, Some("value"))];
    const EACH_TEXT: [Column; 2] = [
        column("json_names", false, Some("key")),
        column("json_values_text", false, Some("value")),
    ];
    const MATCHES: [Column; 1] = [column("regexp_matches_list", false, None)];
    const SPLIT: [Column; 1] = [column("regexp_split_to_array", false, None)];
    const PARTS: [Column; 1] = [column("string_to_array", false, None)];
    match name {
        "json_array_elements" | "jsonb_array_elements" => &ELEMENTS,
        "json_array_elements_text" | "jsonb_array_elements_text" => &TEXTS,
        "json_object_keys" | "jsonb_object_keys" => &NAMES,
        "json_each" | "jsonb_each" => &EACH,
        "json_each_text" | "jsonb_each_text" => &EACH_TEXT,
        "regexp_matches" => &MATCHES,
        "regexp_split_to_table" => &SPLIT,
        "string_to_table" => &PARTS,
        _ => &[],
    }
}

struct Rows;

impl VisitorMut for Rows {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Select(select) = query.body.as_mut() {
            for item in &mut select.projection {
                in_select_list(item);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        let (name, args, alias) = match table {
            TableFactor::Table {
                name, args: Some(args), alias, with_ordinality: false, ..
            } => (name, &mut args.args, alias),
            TableFactor::Function { name, args, alias, with_ordinality: false, .. } => {
                (name, args, alias)
            }
            _ => return ControlFlow::Continue(()),
        };
        let name = name.to_string().to_ascii_lowercase();
        let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
        if let Some(rows) = in_from(name, args, alias) {
            *table = rows;
        }
        ControlFlow::Continue(())
    }
}

fn in_select_list(item: &mut SelectItem) {
    let expr = match item {
        SelectItem::UnnamedExpr(Expr::Function(function)) if is_single(function) => {
            let Some(name) = name_of(function) else { return };
            let expr = Expr::Function(function.clone());
            *item = SelectItem::ExprWithAlias { expr, alias: Ident::new(name) };
            match item {
                SelectItem::ExprWithAlias { expr, .. } => expr,
                _ => return,
            }
        }
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr,
        _ => return,
    };
    // A subquery has a select list of its own.
    if matches!(expr, Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. }) {
        return;
    }
    let _: ControlFlow<()> = visit_expressions_mut(expr, |part| {
        if matches!(part, Expr::Function(function) if is_single(function))
            && let Expr::Function(function) = replace(part, Expr::value(Value::Null))
            && let Some(name) = name_of(&function)
            && let [column] = columns(&name)
        {
            *part = unnested(column, function);
        }
        ControlFlow::Continue(())
    });
}

/// Whether a function gives rows of one column.
fn is_single(function: &Function) -> bool {
    function.over.is_none()
        && matches!(function.args, FunctionArguments::List(_))
        && name_of(function).is_some_and(|name| columns(&name).len() == 1)
}

fn unnested(column: &Column, mut function: Function) -> Expr {
    function.name = ObjectName::from(vec![Ident::new(column.list)]);
    let rows = call("unnest", vec![Expr::Function(function)]);
    if column.is_json { call("json", vec![rows]) } else { rows }
}

/// `(SELECT unnest(…) AS name) AS alias`.
fn in_from(
    name: &str,
    args: &[FunctionArg],
    alias: &mut Option<TableAlias>,
) -> Option<TableFactor> {
    let columns = columns(name);
    let template = match columns.len() {
        0 => return None,
        1 => "SELECT f() AS x",
        _ => "SELECT f() AS x, f() AS x",
    };
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, template).ok()?;
    let Some(Statement::Query(mut query)) = statements.pop() else { return None };
    let mut alias = alias.take().unwrap_or_else(|| TableAlias {
        explicit: true,
        name: Ident::new(name),
        columns: Vec::new(),
        at: None,
    });
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    for (item, column) in select.projection.iter_mut().zip(columns) {
        let SelectItem::ExprWithAlias { expr, alias: own } = item else { return None };
        let Expr::Function(mut function) = replace(expr, Expr::value(Value::Null)) else {
            return None;
        };
        if let FunctionArguments::List(list) = &mut function.args {
            list.args = args.to_vec();
        }
        *expr = unnested(column, function);
        *own = column.name.map_or_else(|| alias.name.clone(), Ident::new);
    }
    if alias.columns.is_empty() {
        let names =
            columns.iter().map(|column| column.name.map_or_else(|| alias.name.clone(), Ident::new));
        alias.columns = names.map(|name| TableAliasColumnDef { name, data_type: None }).collect();
    }
    Some(TableFactor::Derived { lateral: false, subquery: query, alias: Some(alias), sample: None })
}

#[cfg(test)]
mod tests {
    use crate::dialect::{StatementKind, parse};

    fn planned(sql: &str) -> String {
        let statements = parse(sql).expect(sql);
        match statements[0].kind() {
            StatementKind::Ordinary(statement) => statement.to_string(),
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn rows_are_unnested_lists() {
        assert_eq!(
            planned("SELECT json_array_elements_text(x) FROM t"),
            "SELECT unnest(json_elements_text(x)) AS json_array_elements_text FROM t"
        );
        assert_eq!(
            planned("SELECT * FROM regexp_split_to_table('a b', ' ') AS w"),
            "SELECT * FROM (SELECT unnest(regexp_split_to_array('a b', ' ')) AS w) AS w (w)"
        );
        assert_eq!(
            planned("SELECT * FROM json_each_text('{}') AS e(k, v)"),
            "SELECT * FROM (SELECT unnest(json_names('{}')) AS key, unnest(json_values_text('{}')) AS value) AS e (k, v)"
        );
    }
}
