//! `vigil_catalog.operators`: a row is an operator of a source's dataflow.

use arrow::array::ArrayRef;

use super::{SystemTable, bigints, doubles, integers, texts};
use crate::catalog::column;
use crate::{Cut, Engine};

pub(super) fn table() -> SystemTable {
    SystemTable {
        name: "operators",
        comment: "Operators of the dataflows, one row each",
        columns: vec![
            column::text("source", "the source whose dataflow it is in"),
            column::text("operator", "its name, such as detect"),
            column::integer("worker", "the worker it does its work on"),
            column::bigint("records_in", "records that came in"),
            column::bigint("records_out", "records that went out"),
            column::bigint("held", "records held now"),
            column::double_precision("elapsed_ms", "time spent in it on the worker, milliseconds"),
            column::double_precision(
                "latency_p50_ms",
                "median time of a record in it, waiting included, milliseconds",
            )
            .nullable(),
            column::double_precision("latency_p95_ms", "95th percentile of the same, milliseconds")
                .nullable(),
        ],
        rows,
    }
}

fn rows(engine: &dyn Engine, _cut: Option<&Cut>) -> Vec<ArrayRef> {
    let operators = engine.operators();
    let rows = operators.iter();
    vec![
        texts(rows.clone().map(|operator| operator.source.as_str())),
        texts(rows.clone().map(|operator| operator.operator.as_str())),
        integers(rows.clone().map(|operator| Some(operator.worker))),
        bigints(rows.clone().map(|operator| Some(operator.records_in))),
        bigints(rows.clone().map(|operator| Some(operator.records_out))),
        bigints(rows.clone().map(|operator| Some(operator.held))),
        doubles(rows.clone().map(|operator| Some(operator.elapsed_ms))),
        doubles(rows.clone().map(|operator| operator.latency_p50_ms)),
        doubles(rows.map(|operator| operator.latency_p95_ms)),
    ]
}
