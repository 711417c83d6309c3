//! Functions that give rows, as `unnest` of what gives their values in an array: in `FROM`, with
//! `WITH ORDINALITY`, and in a select list. DataFusion has `unnest` in both places and nothing else that
//! would give rows of texts, and it refuses the numbers or leaves them out.

use std::mem::replace;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Query,
    SelectItem, SetExpr, Statement, TableAlias, TableAliasColumnDef, TableFactor, Value, VisitMut,
    VisitorMut, visit_expressions, visit_expressions_mut,
};

use super::calls::{call, name_of};

/// Functions that give rows, and what gives the same in an array.
const ARRAYS: [(&str, &str); 9] = [
    ("regexp_split_to_table", "regexp_split_to_array"),
    ("string_to_table", "string_to_array"),
    ("regexp_matches", "regexp_matches_array"),
    ("json_array_elements", "jsonb_elements"),
    ("jsonb_array_elements", "jsonb_elements"),
    ("json_array_elements_text", "jsonb_elements_text"),
    ("jsonb_array_elements_text", "jsonb_elements_text"),
    ("jsonb_object_keys", "jsonb_keys"),
    ("generate_series", "generate_series"),
];

const UNNEST: &str = "unnest";

/// Rewrites the calls in `statement`.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Sets);
}

struct Sets;

impl VisitorMut for Sets {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.projection.iter_mut().for_each(in_select_list);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        let taken = match table {
            TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } if *with_ordinality => {
                *with_ordinality = false;
                numbered(alias, array_exprs, "unnest");
                return ControlFlow::Continue(());
            }
            TableFactor::UNNEST { alias, array_exprs, .. } => {
                if array_exprs.len() == 1 {
                    name_columns(alias, "unnest", &[]);
                }
                return ControlFlow::Continue(());
            }
            TableFactor::Table { name, args: Some(args), alias, with_ordinality, .. } => {
                (name, &mut args.args, alias, *with_ordinality)
            }
            TableFactor::Function { name, args, alias, with_ordinality, .. } => {
                (name, args, alias, *with_ordinality)
            }
            _ => return ControlFlow::Continue(()),
        };
        let (name, args, alias, with_ordinality) = taken;
        if let Some(values) = each(name)
            && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(object))] = args.as_slice()
            && !with_ordinality
        {
            let arrays = ["jsonb_keys", values].map(|array| call(array, vec![object.clone()]));
            let mut alias = alias.take();
            let alias_of_rows = alias.get_or_insert_with(|| table_alias(Ident::new("each")));
            if alias_of_rows.columns.is_empty() {
                alias_of_rows.columns.extend(["key", "value"].map(|name| column(Ident::new(name))));
            }
            *table = unnest(alias, arrays.into());
            return ControlFlow::Continue(());
        }
        let of_one = one_of(name).map(|name| (name, "make_array"));
        // After `LATERAL` it is read as any other function.
        let is_unnest = name.to_string().eq_ignore_ascii_case(UNNEST);
        let unnested = is_unnest.then_some((UNNEST, UNNEST));
        let Some((name, array)) = of_one.or_else(|| array_of(name)).or(unnested) else {
            return ControlFlow::Continue(());
        };
        // A series without numbers is a table of DataFusion's, made while it is read, unless another
        // table's columns say what is in it.
        if name == "generate_series" && !with_ordinality && !has_column(args) {
            return ControlFlow::Continue(());
        }
        let values = args.iter().cloned().map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        });
        let Some(values) = values.collect::<Option<Vec<Expr>>>() else {
            return ControlFlow::Continue(());
        };
        let mut alias = alias.take();
        let mut array_exprs = match of_one {
            _ if name == UNNEST => values,
            Some((name, array)) => vec![call(array, vec![call(name, values)])],
            None => vec![call(array, values)],
        };
        if with_ordinality {
            numbered(&mut alias, &mut array_exprs, column_of(name));
        } else if array_exprs.len() == 1 {
            name_columns(&mut alias, column_of(name), &[]);
        }
        *table = unnest(alias, array_exprs);
        ControlFlow::Continue(())
    }
}

/// Functions of one value, which PostgreSQL takes in `FROM` too: a table of one row.
const SINGLES: [&str; 24] = [
    "clock_timestamp",
    "concat",
    "current_database",
    "current_schema",
    "current_schemas",
    "current_setting",
    "date_trunc",
    "format",
    "gen_random_uuid",
    "length",
    "lower",
    "now",
    "pg_backend_pid",
    "pg_is_in_recovery",
    "pg_postmaster_start_time",
    "random",
    "round",
    "statement_timestamp",
    "to_char",
    "to_timestamp",
    "transaction_timestamp",
    "txid_current",
    "upper",
    "version",
];

fn one_of(name: &ObjectName) -> Option<&'static str> {
    let name = name.to_string().to_ascii_lowercase();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    SINGLES.into_iter().find(|known| *known == name)
}

/// Whether a column is named in the arguments.
fn has_column(args: &[FunctionArg]) -> bool {
    args.iter().any(|argument| {
        let found = visit_expressions(argument, |expr| match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        found.is_break()
    })
}

fn unnest(alias: Option<TableAlias>, array_exprs: Vec<Expr>) -> TableFactor {
    TableFactor::UNNEST {
        alias,
        array_exprs,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    }
}

/// What gives the values of `json_each` and its like.
fn each(name: &ObjectName) -> Option<&'static str> {
    match name.to_string().to_ascii_lowercase().as_str() {
        "json_each" | "jsonb_each" => Some("jsonb_values"),
        "json_each_text" | "jsonb_each_text" => Some("jsonb_values_text"),
        _ => None,
    }
}

fn table_alias(name: Ident) -> TableAlias {
    TableAlias { explicit: true, name, columns: Vec::new(), at: None }
}

fn column(name: Ident) -> TableAliasColumnDef {
    TableAliasColumnDef { name, data_type: None }
}

/// The function's name and its array's.
fn array_of(name: &ObjectName) -> Option<(&'static str, &'static str)> {
    let name = name.to_string().to_ascii_lowercase();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    ARRAYS.into_iter().find(|(known, _)| *known == name)
}

/// What PostgreSQL calls the column of a function's rows.
fn column_of(function: &'static str) -> &'static str {
    if function.contains("_array_elements") { "value" } else { function }
}

/// Adds the numbers of the rows as another array.
fn numbered(alias: &mut Option<TableAlias>, arrays: &mut Vec<Expr>, name: &str) {
    let mut longest = arrays.iter().cloned().map(|array| call("cardinality", vec![array]));
    let length = match (longest.next(), longest.next()) {
        (Some(only), None) => only,
        (first, second) => {
            let all = first.into_iter().chain(second).chain(longest).collect();
            call("greatest", all)
        }
    };
    let one = Expr::value(Value::Number("1".into(), false));
    name_columns(alias, name, if arrays.len() == 1 { &["ordinality"] } else { &[] });
    arrays.push(call("generate_series", vec![one, length]));
}

/// Names the columns that an alias does not name: the first like the alias, or like the function.
fn name_columns(alias: &mut Option<TableAlias>, name: &str, more: &[&str]) {
    let is_given = alias.is_some();
    let alias = alias.get_or_insert_with(|| table_alias(Ident::new(name)));
    if alias.columns.is_empty() {
        let is_value = is_given && name != "value";
        let first = if is_value { alias.name.clone() } else { Ident::new(name) };
        alias.columns.push(column(first));
    }
    if alias.columns.len() == 1 {
        alias.columns.extend(more.iter().map(|name| column(Ident::new(*name))));
    }
}

/// Rows for the calls in one column of a select list; `series` has done it for series.
fn in_select_list(item: &mut SelectItem) {
    if let SelectItem::UnnamedExpr(Expr::Function(function)) = item
        && let Some(name) = rows_of(function).map(|(name, _)| name).or_else(|| subscripts(function))
    {
        let function = Expr::Function(function.clone());
        *item = SelectItem::ExprWithAlias { expr: function, alias: Ident::new(name) };
    }
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
        return;
    };
    // A subquery has a select list of its own.
    if matches!(expr, Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. }) {
        return;
    }
    let _: ControlFlow<()> = visit_expressions_mut(expr, |part| {
        // The numbers of the elements of an array's first dimension.
        if let Expr::Function(function) = part
            && subscripts(function).is_some()
            && let FunctionArguments::List(list) = &function.args
            && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(array))) = list.args.first()
            && list.args.len() == 2
        {
            let one = Expr::value(Value::Number("1".into(), false));
            let length = call("cardinality", vec![array.clone()]);
            *part = call("unnest", vec![call("generate_series", vec![one, length])]);
        }
        if let Expr::Function(function) = part
            && let Some((_, array)) = rows_of(function)
        {
            function.name = ObjectName::from(vec![Ident::new(array)]);
            let values = replace(part, Expr::value(Value::Null));
            *part = call("unnest", vec![values]);
        }
        ControlFlow::Continue(())
    });
}

fn subscripts(function: &Function) -> Option<&'static str> {
    const NAME: &str = "generate_subscripts";
    (name_of(function).as_deref() == Some(NAME)).then_some(NAME)
}

fn rows_of(function: &Function) -> Option<(&'static str, &'static str)> {
    let name = name_of(function)?;
    if !matches!(function.args, FunctionArguments::List(_)) || name == "generate_series" {
        return None;
    }
    ARRAYS.into_iter().find(|(known, _)| *known == name)
}

#[cfg(test)]
mod tests {
    use crate::dialect::planned;

    #[test]
    fn rows_get_numbers() {
        assert_eq!(
            planned("SELECT * FROM unnest(a) WITH ORDINALITY"),
            "SELECT * FROM UNNEST(a, generate_series(1, cardinality(a))) AS unnest (unnest, ordinality)"
        );
        assert_eq!(
            planned("SELECT * FROM string_to_table('a,b', ',') WITH ORDINALITY AS t(x, n)"),
            "SELECT * FROM UNNEST(string_to_array('a,b', ','), \
             generate_series(1, cardinality(string_to_array('a,b', ',')))) AS t (x, n)"
        );
    }

    #[test]
    fn arrays_of_other_tables_are_read() {
        for (sql, wanted) in [
            ("unnest(t.a) AS u", "UNNEST(t.a) AS u (u)"),
            ("LATERAL unnest(t.a)", "UNNEST(t.a) AS unnest (unnest)"),
            ("unnest(t.a, t.b) AS u", "UNNEST(t.a, t.b) AS u"),
            ("generate_series(1, t.n) AS g", "UNNEST(generate_series(1, t.n)) AS g (g)"),
            ("generate_series(1, 3) AS g", "generate_series(1, 3) AS g (g)"),
        ] {
            assert_eq!(
                planned(&format!("SELECT * FROM t, {sql}")),
                format!("SELECT * FROM t, {wanted}")
            );
        }
    }

    #[test]
    fn functions_of_one_value_are_tables_of_one_row() {
        for (sql, wanted) in [
            ("SELECT * FROM version()", "UNNEST(make_array(version())) AS version (version)"),
            ("SELECT * FROM now() AS t", "UNNEST(make_array(now())) AS t (t)"),
            ("SELECT * FROM upper('a') t (b)", "UNNEST(make_array(upper('a'))) t (b)"),
        ] {
            assert_eq!(planned(sql), format!("SELECT * FROM {wanted}"));
        }
    }

    #[test]
    fn columns_are_called_as_in_postgresql() {
        assert_eq!(
            planned("SELECT * FROM string_to_table('a,b', ',') AS part"),
            "SELECT * FROM UNNEST(string_to_array('a,b', ',')) AS part (part)"
        );
        assert_eq!(
            planned("SELECT * FROM json_array_elements('[1]') AS e"),
            "SELECT * FROM UNNEST(jsonb_elements('[1]')) AS e (value)"
        );
        assert_eq!(
            planned("SELECT string_to_table(a, ',') FROM t"),
            "SELECT unnest(string_to_array(a, ',')) AS string_to_table FROM t"
        );
    }
}
