//! `pg_proc`: a row is a function. PostgreSQL's own are datafusion-pg-catalog's; Vigil's are added
//! from what is written about them, so that `\df` lists them.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::{DataType, Int32Type, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::physical_plan::collect;

use super::relations::Relations;
use crate::catalog::computed::ComputedRows;

/// The OID of Vigil's first function; PostgreSQL gives those from 16384 to users' objects, and
/// datafusion-pg-catalog counts tables from there.
const FIRST_OID: i32 = 1_000_000;

/// A function as `\df` shows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Procedure {
    pub(super) name: &'static str,
    pub(super) arguments: &'static str,
    pub(super) result: &'static str,
    pub(super) is_aggregate: bool,
}

impl Procedure {
    /// The type of its result, under PostgreSQL's name.
    pub(super) fn result(&self) -> String {
        type_name(self.result)
    }

    /// The names or types of its arguments.
    pub(super) fn arguments(&self) -> String {
        self.arguments.split(", ").map(type_name).collect::<Vec<_>>().join(", ")
    }

    /// The statement that would make it, as psql's `\sf` shows it.
    pub(super) fn definition(&self) -> String {
        let Self { name, .. } = self;
        let (arguments, result) = (self.arguments(), self.result());
        format!(
            "CREATE OR REPLACE FUNCTION public.{name}({arguments})\n RETURNS {result}\n LANGUAGE internal\nAS $function${name}$function$\n"
        )
    }
}

/// Vigil's functions with their OIDs, one for each way to call them.
pub(super) fn ours() -> Vec<(i32, Procedure)> {
    let of_udfs = vigil_udfs::all().into_iter().map(|function| function.doc);
    let docs = of_udfs.chain(crate::functions::docs());
    let aggregates = vigil_udfs::aggregate_docs();
    let procedures = docs.flat_map(|doc| {
        let is_aggregate = aggregates.iter().any(|aggregate| std::ptr::eq(*aggregate, doc));
        doc.syntax.iter().filter_map(move |syntax| read(syntax, is_aggregate))
    });
    (FIRST_OID..).zip(procedures).collect()
}

/// The procedure with this OID, if it is one of ours.
pub(super) fn get(oid: i32) -> Option<Procedure> {
    let at = usize::try_from(oid.checked_sub(FIRST_OID)?).ok()?;
    ours().get(at).map(|(_, procedure)| *procedure)
}

/// `name(arguments) → result`; operators are written otherwise.
fn read(syntax: &'static str, is_aggregate: bool) -> Option<Procedure> {
    let (call, result) = syntax.split_once(" → ")?;
    let (name, arguments) = call.strip_suffix(')')?.split_once('(')?;
    let is_name = name.chars().all(|character| character.is_alphanumeric() || character == '_');
    is_name.then_some(Procedure { name, arguments, result, is_aggregate })
}

/// PostgreSQL's name of a type that the reference writes shorter.
fn type_name(written: &str) -> String {
    if let Some(item) = written.strip_prefix("rows of ") {
        return format!("SETOF {}", type_name(item));
    }
    match written {
        "number" | "float8" | "integer or float8" => "double precision",
        "int4" => "integer",
        "timestamptz" => "timestamp with time zone",
        "timestamp" => "timestamp without time zone",
        "time" => "time without time zone",
        "the value's type" => "anyelement",
        "rows" => "SETOF record",
        other => other,
    }
    .to_owned()
}

/// datafusion-pg-catalog's table with Vigil's functions.
#[derive(Debug)]
pub(super) struct Procedures {
    pub(super) inner: Arc<dyn TableProvider>,
    pub(super) relations: Arc<Relations>,
}

#[async_trait]
impl ComputedRows for Procedures {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    async fn batches(&self, session: &dyn Session) -> Result<Vec<RecordBatch>> {
        let plan = self.inner.scan(session, None, &[], None).await?;
        let mut batches = collect(plan, session.task_ctx()).await?;
        let mut known = BTreeSet::new();
        for batch in &batches {
            note_without_arguments(batch, &mut known)?;
        }
        if let Some(first) = batches.iter().find(|batch| batch.num_rows() > 0) {
            batches.push(self.rows(first, &known)?);
        }
        Ok(batches)
    }
}

/// Notes the names of functions without arguments.
fn note_without_arguments(batch: &RecordBatch, names: &mut BTreeSet<String>) -> Result<()> {
    let (Some(name), Some(count)) =
        (batch.column_by_name("proname"), batch.column_by_name("pronargs"))
    else {
        return Ok(());
    };
    let (name, count) = (cast(name, &DataType::Utf8)?, cast(count, &DataType::Int32)?);
    for (name, count) in name.as_string::<i32>().iter().zip(count.as_primitive::<Int32Type>()) {
        if count == Some(0) {
            names.extend(name.map(str::to_owned));
        }
    }
    Ok(())
}

impl Procedures {
    /// Our rows, without those that PostgreSQL has the same of; what is not known of them is as in the first
    /// row of `template`.
    fn rows(&self, template: &RecordBatch, known: &BTreeSet<String>) -> Result<RecordBatch> {
        let mut ours = ours();
        ours.retain(|(_, ours)| !(ours.arguments.is_empty() && known.contains(ours.name)));
        let copies = take_record_batch(template, &UInt32Array::from(vec![0; ours.len()]))?;
        let schema = copies.schema();
        let mut columns: Vec<ArrayRef> = copies.columns().to_vec();
        let text = |of: fn(&Procedure) -> &'static str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(ours.iter().map(|(_, ours)| of(ours))))
        };
        let number = |of: &dyn Fn(i32) -> i32| -> ArrayRef {
            Arc::new(Int32Array::from_iter_values(ours.iter().map(|(oid, _)| of(*oid))))
        };
        let replaced: [(&str, ArrayRef); 5] = [
            ("oid", number(&|oid| oid)),
            ("proname", text(|ours| ours.name)),
            ("pronamespace", number(&|_| self.relations.public())),
            ("prosrc", text(|ours| ours.name)),
            ("prokind", text(|ours| if ours.is_aggregate { "a" } else { "f" })),
        ];
        for (name, array) in replaced {
            let at = schema.index_of(name)?;
            columns[at] = cast(&array, schema.field(at).data_type())?;
        }
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_read_from_their_syntax() {
        let iou = ours().into_iter().find(|(_, procedure)| procedure.name == "iou");
        let (oid, iou) = iou.expect("is a function of ours");
        assert_eq!(iou.arguments(), "x1, y1, x2, y2, x1, y1, x2, y2");
        assert_eq!(iou.result(), "double precision");
        let avg = ours().into_iter().find(|(_, procedure)| procedure.name == "avg");
        assert!(avg.is_some_and(|(_, avg)| avg.is_aggregate));
        assert_eq!(get(oid).map(|procedure| procedure.name), Some("iou"));
        assert!(get(1).is_none());
    }
}
