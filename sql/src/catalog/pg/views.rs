//! Views in `pg_class`, their columns in `pg_attribute`, their rules in `pg_rewrite`, what they read in `pg_depend`,
//! and the schema of temporary ones in `pg_namespace`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;

use super::extra::{Extra, Values, batch};
use super::owners::OWNER;
use super::relations::Relations;
use crate::views::{View, ViewColumn, ViewName};

/// The rows of `pg_class`.
#[derive(Debug)]
pub(super) struct Classes;

impl Extra for Classes {
    fn rows(&self, relations: &Relations, schema: &SchemaRef) -> Result<RecordBatch> {
        let views = relations.views();
        let all: Vec<(&ViewName, &Arc<View>)> = views.iter().collect();
        let same = |text: &str| texts(all.iter().map(|_| text));
        batch(schema, all.len(), |name| match name {
            "oid" => integers(all.iter().map(|(_, view)| view.oid)),
            "relname" => texts(all.iter().map(|(name, _)| name.name.as_str())),
            "relnamespace" => integers(all.iter().map(|(name, _)| relations.schema_of(name))),
            "relkind" => same("v"),
            "relpersistence" => texts(all.iter().map(|(name, _)| match name.session {
                Some(_) => "t",
                None => "p",
            })),
            "relreplident" => same("n"),
            "relnatts" => {
                let count = |view: &View| i32::try_from(view.columns.len()).unwrap_or(0);
                integers(all.iter().map(|(_, view)| count(view)))
            }
            "relhasrules" | "relispopulated" => {
                let truths: ArrayRef = Arc::new(BooleanArray::from(vec![true; all.len()]));
                Some(Values::Of(truths))
            }
            _ => None,
        })
    }
}

/// The rows of `pg_rewrite`: a view is a rule for the relation of its name.
#[derive(Debug)]
pub(super) struct Rules;

/// How far the OID of a view's rule is from its own.
const RULE_AFTER_VIEW: i32 = 10_000_000;

impl Extra for Rules {
    fn rows(&self, relations: &Relations, schema: &SchemaRef) -> Result<RecordBatch> {
        let views = relations.views();
        let all: Vec<i32> = views.values().map(|view| view.oid).collect();
        let same = |text: &str| texts(all.iter().map(|_| text));
        batch(schema, all.len(), |name| match name {
            "oid" => integers(all.iter().map(|view| view + RULE_AFTER_VIEW)),
            "rulename" => same("_RETURN"),
            "ev_class" => integers(all.iter().copied()),
            "ev_type" => same("1"),
            "ev_enabled" => same("O"),
            "is_instead" => {
                let truths: ArrayRef = Arc::new(BooleanArray::from(vec![true; all.len()]));
                Some(Values::Of(truths))
            }
            _ => None,
        })
    }
}

/// The rows of `pg_depend`: a view's rule goes with the view, and needs what the view reads. What is read
/// is told of as a whole, not by its columns.
#[derive(Debug)]
pub(super) struct Dependencies;

/// PostgreSQL's OIDs of `pg_class` and `pg_rewrite`.
const PG_CLASS: i32 = 1259;
const PG_REWRITE: i32 = 2618;

impl Extra for Dependencies {
    fn rows(&self, relations: &Relations, schema: &SchemaRef) -> Result<RecordBatch> {
        // The rule, what it depends on, and how.
        let mut all: Vec<(i32, i32, &str)> = Vec::new();
        for view in relations.views().values() {
            let rule = view.oid + RULE_AFTER_VIEW;
            all.push((rule, view.oid, "i"));
            for read in &view.reads {
                let read =
                    read.split_once('.').and_then(|(schema, name)| relations.find(schema, name));
                all.extend(read.map(|read| (rule, read, "n")));
            }
        }
        batch(schema, all.len(), |name| match name {
            "classid" => integers(all.iter().map(|_| PG_REWRITE)),
            "objid" => integers(all.iter().map(|(rule, ..)| *rule)),
            "refclassid" => integers(all.iter().map(|_| PG_CLASS)),
            "refobjid" => integers(all.iter().map(|(_, read, _)| *read)),
            "objsubid" | "refobjsubid" => integers(all.iter().map(|_| 0)),
            "deptype" => texts(all.iter().map(|(.., how)| *how)),
            _ => None,
        })
    }
}

/// The row of `pg_namespace`.
#[derive(Debug)]
pub(super) struct Namespaces;

impl Extra for Namespaces {
    fn rows(&self, relations: &Relations, schema: &SchemaRef) -> Result<RecordBatch> {
        let all: Vec<(String, i32)> = relations.temporary_schema().into_iter().collect();
        batch(schema, all.len(), |name| match name {
            "oid" => integers(all.iter().map(|(_, oid)| *oid)),
            "nspname" => texts(all.iter().map(|(name, _)| name.as_str())),
            "nspowner" => integers(all.iter().map(|_| OWNER)),
            _ => None,
        })
    }
}

/// The rows of `pg_attribute`.
pub(super) fn columns(relations: &Relations, schema: &SchemaRef) -> Result<RecordBatch> {
    let views = relations.views();
    let all: Vec<(i32, i32, &ViewColumn)> = views
        .values()
        .flat_map(|view| {
            (1..).zip(&view.columns).map(|(number, column)| (view.oid, number, column))
        })
        .collect();
    batch(schema, all.len(), |name| match name {
        "attrelid" => integers(all.iter().map(|(view, ..)| *view)),
        "attnum" => integers(all.iter().map(|(_, number, _)| *number)),
        "attname" => texts(all.iter().map(|(.., column)| column.name.as_str())),
        "atttypid" => integers(all.iter().map(|(.., column)| column.type_oid)),
        "attstorage" => texts(all.iter().map(|(.., column)| storage(column))),
        "atttypmod" => integers(all.iter().map(|(.., column)| column.modifier)),
        _ => None,
    })
}

/// Whether PostgreSQL would keep the type's long values elsewhere.
fn storage(column: &ViewColumn) -> &'static str {
    const PLAIN: [i32; 13] = [16, 18, 19, 20, 21, 23, 26, 700, 701, 1082, 1114, 1184, 2950];
    match column.type_oid {
        1700 => "m",
        oid if PLAIN.contains(&oid) => "p",
        _ => "x",
    }
}

fn integers(values: impl Iterator<Item = i32>) -> Option<Values> {
    Some(Values::Of(Arc::new(values.collect::<Int32Array>())))
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> Option<Values> {
    Some(Values::Of(Arc::new(StringArray::from_iter_values(values))))
}
