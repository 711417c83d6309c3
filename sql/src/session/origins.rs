//! Where the columns of an answer come from: a column of a table or view that a query gives as it is has that
//! table's OID and its number in it, which drivers ask for (pgjdbc's `getTableName`, libpq's `PQftable`).
//!
//! They are found in the plan and kept in the metadata of the columns that a client is told.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Fields, Schema, SchemaRef};
use datafusion::common::TableReference;
use datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan};

/// The key of an origin in a column's metadata.
pub(crate) const ORIGIN_KEY: &str = "vigil.origin";

/// What the name of a view begins with in the columns of its plan; its OID follows.
const VIEW_MARK: &str = "view ";

/// The column of a table or view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) table: i32,
    /// Counts from 1.
    pub(crate) column: i16,
}

impl Origin {
    /// That of a column, if it has one.
    pub(crate) fn of(field: &Field) -> Option<Self> {
        let (table, column) = field.metadata().get(ORIGIN_KEY)?.split_once('.')?;
        Some(Self { table: table.parse().ok()?, column: column.parse().ok()? })
    }

    /// The field as this column.
    pub(crate) fn on(self, mut field: Field) -> Field {
        let origin = format!("{}.{}", self.table, self.column);
        field.metadata_mut().insert(ORIGIN_KEY.into(), origin);
        field
    }
}

/// The qualifier of a view's columns in its plan, by which they are found in the plan of a statement.
pub(super) fn mark_of_view(oid: i32) -> TableReference {
    TableReference::bare(format!("{VIEW_MARK}{oid}"))
}

/// The columns `schema` of a plan's answer with their origins. `oid_of` knows the OIDs of tables.
pub(super) fn told(
    plan: &LogicalPlan,
    schema: SchemaRef,
    oid_of: impl Fn(&TableReference) -> Option<i32>,
) -> SchemaRef {
    if plan.schema().fields().len() != schema.fields().len() {
        return schema;
    }
    let mut known: HashMap<&TableReference, Option<i32>> = HashMap::new();
    let origins = (0..schema.fields().len()).map(|at| {
        let (relation, at) = source(plan, at)?;
        let table = match relation {
            Relation::View(oid) => oid,
            Relation::Table(name) => (*known.entry(name).or_insert_with(|| oid_of(name)))?,
        };
        Some(Origin { table, column: i16::try_from(at + 1).ok()? })
    });
    let origins: Vec<Option<Origin>> = origins.collect();
    with_origins(schema, &origins)
}

/// The columns `schema` of an answer with the origins of `described`, which are the same columns.
pub(super) fn carried(schema: SchemaRef, described: Option<&SchemaRef>) -> SchemaRef {
    let Some(described) = described else { return schema };
    let origins = described.fields().iter().map(|field| Origin::of(field));
    let origins: Vec<Option<Origin>> = origins.collect();
    with_origins(schema, &origins)
}

fn with_origins(schema: SchemaRef, origins: &[Option<Origin>]) -> SchemaRef {
    let known = schema.fields().iter().map(|field| Origin::of(field));
    if origins.len() != schema.fields().len() || origins.iter().copied().eq(known) {
        return schema;
    }
    let fields = schema.fields().iter().zip(origins).map(|(field, origin)| match origin {
        Some(origin) => Arc::new(origin.on(field.as_ref().clone())),
        None => Arc::clone(field),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Fields>(), schema.metadata().clone()))
}

/// What a column is read from.
enum Relation<'a> {
    View(i32),
    Table(&'a TableReference),
}

/// The relation that a plan's column `at` is read from as it is, and its place there.
fn source(mut plan: &LogicalPlan, mut at: usize) -> Option<(Relation<'_>, usize)> {
    loop {
        plan = match plan {
            LogicalPlan::TableScan(scan) => {
                let place = match &scan.projection {
                    Some(projection) => *projection.get(at)?,
                    None => at,
                };
                return Some((Relation::Table(&scan.table_name), place));
            }
            LogicalPlan::Projection(projection) => {
                let expr = projection.expr.get(at)?;
                if let Some(oid) = view_of(expr) {
                    return Some((Relation::View(oid), at));
                }
                at = place(expr, &projection.input)?;
                projection.input.as_ref()
            }
            LogicalPlan::Aggregate(aggregate) => {
                at = place(aggregate.group_expr.get(at)?, &aggregate.input)?;
                aggregate.input.as_ref()
            }
            LogicalPlan::Distinct(Distinct::On(distinct)) => {
                at = place(distinct.select_expr.get(at)?, &distinct.input)?;
                distinct.input.as_ref()
            }
            LogicalPlan::Window(window) => {
                if at >= window.input.schema().fields().len() {
                    return None;
                }
                window.input.as_ref()
            }
            LogicalPlan::Join(join) => match join.join_type {
                JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                    let of_left = join.left.schema().fields().len();
                    match at.checked_sub(of_left) {
                        Some(of_right) => {
                            at = of_right;
                            join.right.as_ref()
                        }
                        None => join.left.as_ref(),
                    }
                }
                _ => return None,
            },
            LogicalPlan::SubqueryAlias(alias) => alias.input.as_ref(),
            LogicalPlan::Subquery(subquery) => subquery.subquery.as_ref(),
            LogicalPlan::Filter(filter) => filter.input.as_ref(),
            LogicalPlan::Sort(sort) => sort.input.as_ref(),
            LogicalPlan::Limit(limit) => limit.input.as_ref(),
            LogicalPlan::Distinct(Distinct::All(input)) => input.as_ref(),
            _ => return None,
        };
    }
}

/// The place of the column of `input` that an expression is.
fn place(mut expr: &Expr, input: &LogicalPlan) -> Option<usize> {
    while let Expr::Alias(alias) = expr {
        expr = &alias.expr;
    }
    match expr {
        Expr::Column(column) => input.schema().index_of_column(column).ok(),
        _ => None,
    }
}

/// The view that an expression is a column of.
fn view_of(expr: &Expr) -> Option<i32> {
    let Expr::Alias(alias) = expr else { return None };
    alias.relation.as_ref()?.table().strip_prefix(VIEW_MARK)?.parse().ok()
}
