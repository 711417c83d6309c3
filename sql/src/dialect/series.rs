//! `generate_series`: in a select list it gives rows, and in `FROM` its column has the name of the table.
//! DataFusion gives an array in the one place and calls the column `value` in the other.

use std::mem::replace;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Interval,
    Query, Select, SelectItem, SetExpr, Statement, TableAlias, TableAliasColumnDef, TableFactor,
    TimezoneInfo, Value, VisitMut, VisitorMut, visit_expressions_mut,
};

use super::calls::{call, name_of};

const NAME: &str = "generate_series";

/// Rewrites the calls in `statement`.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Series);
}

struct Series;

impl VisitorMut for Series {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Select(select) = query.body.as_mut() {
            unnest(select);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        match table {
            TableFactor::Table { name, args: Some(args), alias, .. }
                if name.to_string().eq_ignore_ascii_case(NAME) =>
            {
                read_texts(&mut args.args);
                name_column(alias);
            }
            TableFactor::Function { name, args, alias, .. }
                if name.to_string().eq_ignore_ascii_case(NAME) =>
            {
                read_texts(args);
                name_column(alias);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The series of a select list as rows.
fn unnest(select: &mut Select) {
    for item in &mut select.projection {
        let expr = match item {
            SelectItem::UnnamedExpr(expr) => {
                if !matches!(expr, Expr::Function(call) if is_series(call)) {
                    rows(expr);
                    continue;
                }
                let expr = replace(expr, Expr::value(Value::Null));
                *item = SelectItem::ExprWithAlias { expr, alias: Ident::new(NAME) };
                match item {
                    SelectItem::ExprWithAlias { expr, .. } => expr,
                    _ => continue,
                }
            }
            SelectItem::ExprWithAlias { expr, .. } => expr,
            _ => continue,
        };
        rows(expr);
    }
}

fn rows(expr: &mut Expr) {
    // What somebody has written as `unnest(generate_series(…))` for DataFusion stays.
    if let Expr::Function(outer) = expr
        && name_of(outer).as_deref() == Some("unnest")
    {
        return;
    }
    // A subquery has a select list of its own.
    if matches!(expr, Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. }) {
        return;
    }
    let _: ControlFlow<()> = visit_expressions_mut(expr, |part| {
        if matches!(part, Expr::Function(call) if is_series(call)) {
            if let Expr::Function(series) = part
                && let FunctionArguments::List(list) = &mut series.args
            {
                read_texts(&mut list.args);
            }
            let series = replace(part, Expr::value(Value::Null));
            *part = call("unnest", vec![series]);
        }
        ControlFlow::Continue(())
    });
}

fn is_series(call: &datafusion::sql::sqlparser::ast::Function) -> bool {
    name_of(call).as_deref() == Some(NAME)
}

fn name_column(alias: &mut Option<TableAlias>) {
    let alias = alias.get_or_insert_with(|| TableAlias {
        explicit: true,
        name: Ident::new(NAME),
        columns: Vec::new(),
        at: None,
    });
    if alias.columns.is_empty() {
        let column = TableAliasColumnDef { name: alias.name.clone(), data_type: None };
        alias.columns.push(column);
    }
}

/// The end and the step of a series of times, where they are texts.
fn read_texts(args: &mut [FunctionArg]) {
    let [start, end, step] = args else { return };
    let text = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))
            if matches!(value.value, Value::SingleQuotedString(_)) =>
        {
            Some(Expr::Value(value.clone()))
        }
        _ => None,
    };
    let data_type = match start {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::TypedString(typed))) => {
            Some(typed.data_type.clone())
        }
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Cast { data_type, .. })) => {
            Some(data_type.clone())
        }
        _ => None,
    };
    let is_time =
        matches!(data_type, Some(DataType::Timestamp(..) | DataType::Date | DataType::Datetime(_)));
    if !is_time {
        return;
    }
    if let Some(end_text) = text(end) {
        let data_type = data_type.unwrap_or(DataType::Timestamp(None, TimezoneInfo::None));
        let cast = Expr::Cast {
            kind: CastKind::DoubleColon,
            expr: Box::new(end_text),
            data_type,
            array: false,
            format: None,
        };
        *end = FunctionArg::Unnamed(FunctionArgExpr::Expr(cast));
    }
    if let Some(step_text) = text(step) {
        let interval = Interval {
            value: Box::new(step_text),
            leading_field: None,
            leading_precision: None,
            last_field: None,
            fractional_seconds_precision: None,
        };
        *step = FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Interval(interval)));
    }
}
