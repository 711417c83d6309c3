//! The names of a query's columns, where it gives none: PostgreSQL's (`count`, `?column?`), not
//! DataFusion's (`count(*)`, `Int64(1)`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, DataType, Expr, Function, Ident, OrderBy, OrderByKind, Query,
    Select, SelectItem, SetExpr, Statement, Value, visit_expressions,
};

/// PostgreSQL's name for a column without one.
const NAMELESS: &str = "?column?";

/// The columns of `statement`'s answer under PostgreSQL's names. Columns that the query names, and
/// those that a `*` stands for, keep theirs.
pub(super) fn rename(statement: &Statement, schema: SchemaRef) -> SchemaRef {
    let Statement::Query(query) = statement else { return schema };
    let Some(select) = first_select(query) else { return schema };
    let names: Vec<Option<String>> = select.projection.iter().map(item_name).collect();
    let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
    // A wildcard stands for any number of columns: count from the left up to the first one and
    // from the right down to the last.
    let is_wildcard = |item: &SelectItem| {
        matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
    };
    let before = select.projection.iter().position(is_wildcard).unwrap_or(names.len());
    let after = select.projection.iter().rev().position(is_wildcard).unwrap_or(0);
    if before + after > fields.len() {
        return schema;
    }
    let right = fields.len() - after;
    let named = (0..before)
        .map(|at| (at, at))
        .chain((0..after).map(|at| (right + at, names.len() - after + at)));
    for (field, name) in named {
        if let Some(Some(name)) = names.get(name) {
            fields[field] = Arc::new(fields[field].as_ref().clone().with_name(name));
        }
    }
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// Puts positions in the place of names in `ORDER BY` that are PostgreSQL's names of columns without
/// one: `SELECT count(*) … ORDER BY count`.
pub(super) fn order_by_positions(statement: &mut Statement) {
    let Statement::Query(query) = statement else { return };
    let SetExpr::Select(select) = query.body.as_ref() else { return };
    let (mut given, mut positions) = (BTreeSet::new(), BTreeMap::new());
    for (at, item) in select.projection.iter().enumerate() {
        match item {
            SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_))
            | SelectItem::ExprWithAlias { .. } => given.extend(item_name(item)),
            SelectItem::UnnamedExpr(expr) => {
                if let Some(Name::Own(name)) = name_of(expr) {
                    positions.entry(name).or_insert(at + 1);
                }
            }
            // How many columns it stands for is not known yet.
            _ => break,
        }
    }
    let Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) = &mut query.order_by else {
        return;
    };
    for key in keys {
        if let Expr::Identifier(ident) = &key.expr
            && let name = folded(ident)
            && !given.contains(&name)
            && let Some(position) = positions.get(&name)
        {
            key.expr = Expr::Value(Value::Number(position.to_string(), false).into());
        }
    }
}

/// Puts what is selected in the place of its position in `ORDER BY`, as DataFusion finds no aggregate that something
/// is computed of by a position: `SELECT count(*) * 2 … ORDER BY 1`.
pub(super) fn order_by_expressions(statement: &mut Statement) {
    let Statement::Query(query) = statement else { return };
    let SetExpr::Select(select) = query.body.as_ref() else { return };
    // Those of `DISTINCT` it knows by positions alone.
    if select.distinct.is_some() {
        return;
    }
    let Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) = &mut query.order_by else {
        return;
    };
    // How many columns a `*` stands for is not known yet.
    let known = select.projection.iter().map_while(|item| match item {
        SelectItem::UnnamedExpr(expr) => Some(may_move(expr).then_some(expr)),
        SelectItem::ExprWithAlias { .. } => Some(None),
        _ => None,
    });
    let known: Vec<Option<&Expr>> = known.collect();
    for key in keys {
        if let Expr::Value(value) = &key.expr
            && let Value::Number(position, _) = &value.value
            && let Some(before) = position.parse::<usize>().ok().and_then(|at| at.checked_sub(1))
            && let Some(Some(expr)) = known.get(before)
        {
            key.expr = (*expr).clone();
        }
    }
}

/// Functions with another value each time.
const VOLATILE: [&str; 4] = ["random", "gen_random_uuid", "clock_timestamp", "timeofday"];

/// Whether an expression calls functions and is the same wherever it stands.
fn may_move(expr: &Expr) -> bool {
    let mut has_call = false;
    let seen = visit_expressions(expr, |part| match part {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(()),
        Expr::Function(call)
            if VOLATILE.contains(&call.name.to_string().to_ascii_lowercase().as_str()) =>
        {
            ControlFlow::Break(())
        }
        Expr::Function(_) => {
            has_call = true;
            ControlFlow::Continue(())
        }
        _ => ControlFlow::Continue(()),
    });
    has_call && seen.is_continue()
}

/// PostgreSQL's name for a column of a select list that is given none.
pub(crate) fn of_expression(expr: &Expr) -> String {
    match name_of(expr) {
        Some(Name::Own(name) | Name::Type(name)) => name,
        None => NAMELESS.into(),
    }
}

/// The names of a query's columns; `None` where it has a `*`.
pub(crate) fn of_list(select: &Select) -> Option<Vec<String>> {
    select.projection.iter().map(item_name).collect()
}

/// Gives a column of a select list the name that it has without one, whatever is put in its place then.
pub(crate) fn keep(item: &mut SelectItem) {
    if let SelectItem::UnnamedExpr(expr) = item {
        let alias = Ident::with_quote('"', of_expression(expr));
        let expr = std::mem::replace(expr, Expr::value(Value::Null));
        *item = SelectItem::ExprWithAlias { expr, alias };
    }
}

fn first_select(query: &Query) -> Option<&Select> {
    let mut body = query.body.as_ref();
    loop {
        body = match body {
            SetExpr::Select(select) => return Some(select),
            SetExpr::Query(query) => query.body.as_ref(),
            SetExpr::SetOperation { left, .. } => left.as_ref(),
            _ => return None,
        };
    }
}

fn item_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(expr) => Some(of_expression(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        _ => None,
    }
}

/// A name and how much it counts: a cast takes the name of what it casts only if that has one of
/// its own.
enum Name {
    Own(String),
    Type(String),
}

fn name_of(expr: &Expr) -> Option<Name> {
    let own = |name: &str| Some(Name::Own(name.to_owned()));
    match expr {
        Expr::Identifier(ident) => Some(Name::Own(folded(ident))),
        Expr::CompoundIdentifier(parts) => parts.last().map(|part| Name::Own(folded(part))),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => name_of(inner),
        // A literal such as B'101'.
        Expr::Function(function) if is_literal(function) => None,
        Expr::Function(function) => function_name(function).map(Name::Own),
        Expr::Cast { expr, data_type, .. } => Some(match name_of(expr) {
            Some(Name::Own(name)) => Name::Own(name),
            _ => Name::Type(type_name(data_type)),
        }),
        Expr::TypedString(typed) => Some(Name::Type(type_name(&typed.data_type))),
        Expr::Interval(_) => Some(Name::Type("interval".into())),
        Expr::Value(value) => match value.value {
            Value::Boolean(_) => Some(Name::Type("bool".into())),
            _ => None,
        },
        Expr::Case { else_result, .. } => match else_result.as_deref().and_then(name_of) {
            Some(Name::Own(name)) => Some(Name::Own(name)),
            _ => Some(Name::Type("case".into())),
        },
        Expr::CompoundFieldAccess { root, access_chain } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(field))) => Some(Name::Own(folded(field))),
            _ => name_of(root),
        },
        Expr::Array(_) => own("array"),
        Expr::Tuple(_) => own("row"),
        Expr::Exists { .. } => own("exists"),
        Expr::BinaryOp { op: BinaryOperator::Overlaps, .. } => own("overlaps"),
        Expr::Extract { .. } => own("extract"),
        Expr::Substring { shorthand, .. } => own(if *shorthand { "substr" } else { "substring" }),
        Expr::Trim { .. } => own("btrim"),
        Expr::Position { .. } => own("position"),
        Expr::Overlay { .. } => own("overlay"),
        Expr::Ceil { .. } => own("ceil"),
        Expr::Floor { .. } => own("floor"),
        Expr::AtTimeZone { .. } => own("timezone"),
        Expr::Subquery(query) => match first_select(query)?.projection.first()? {
            SelectItem::ExprWithAlias { alias, .. } => Some(Name::Own(folded(alias))),
            SelectItem::UnnamedExpr(expr) => name_of(expr),
            _ => None,
        },
        _ => None,
    }
}

fn function_name(function: &Function) -> Option<String> {
    function.name.0.last().and_then(|part| part.as_ident()).map(folded)
}

fn is_literal(function: &Function) -> bool {
    function_name(function).is_some_and(|name| name == vigil_udfs::BIT_LITERAL)
}

pub(crate) fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// PostgreSQL's internal name of a type: `int4` for `integer`.
fn type_name(data_type: &DataType) -> String {
    let written = data_type.to_string().to_lowercase();
    let plain = written.split(['(', '[']).next().unwrap_or_default().trim();
    match plain {
        "smallint" => "int2",
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "real" => "float4",
        "float" | "double" | "double precision" => "float8",
        "boolean" => "bool",
        "decimal" => "numeric",
        "character varying" => "varchar",
        "char" | "character" => "bpchar",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        "time without time zone" => "time",
        other => other,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{StatementKind, parse};
    use arrow::datatypes::DataType as ArrowType;

    fn names(sql: &str, columns: &[&str]) -> Vec<String> {
        let statements = parse(sql).expect("is valid");
        let StatementKind::Ordinary(statement) = statements[0].kind() else {
            panic!("{sql} is not ours")
        };
        let fields: Vec<_> =
            columns.iter().map(|name| Field::new(*name, ArrowType::Int64, true)).collect();
        let schema = rename(statement, Arc::new(Schema::new(fields)));
        schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    #[test]
    fn columns_without_a_name_get_postgresqls() {
        for (expression, name) in [
            ("count(*)", "count"),
            ("1", "?column?"),
            ("a + 1", "?column?"),
            ("t.a", "a"),
            ("\"A b\"", "A b"),
            ("lower(a)::text", "lower"),
            ("'1'::int", "int4"),
            ("'[1]'::vector(3)", "vector"),
            ("a::bigint", "a"),
            ("CASE WHEN a THEN 1 ELSE b END", "b"),
            ("CASE WHEN a THEN 1 END", "case"),
            ("ARRAY[1, 2]", "array"),
            ("EXISTS (SELECT 1)", "exists"),
            ("(SELECT max(a) FROM t)", "max"),
            ("INTERVAL '1 day'", "interval"),
            ("true", "bool"),
            ("e <=> embed('x')", "?column?"),
            ("a AS \"Named\"", "Named"),
        ] {
            let sql = format!("SELECT {expression} FROM t");
            assert_eq!(names(&sql, &["x"]), [name], "{sql}");
        }
    }

    #[test]
    fn a_wildcard_keeps_its_columns() {
        assert_eq!(
            names("SELECT 1, *, 2 FROM t", &["p", "a", "b", "q"]),
            ["?column?", "a", "b", "?column?"]
        );
        assert_eq!(names("SELECT count(*) FROM t UNION SELECT 2", &["x"]), ["count"]);
    }
}
