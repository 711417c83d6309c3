//! `vigil_catalog.indexes`: a row is an index.

use arrow::array::ArrayRef;

use super::{SystemTable, bigints, doubles, texts};
use crate::catalog::column;
use crate::{Cut, Engine};

pub(super) fn table() -> SystemTable {
    SystemTable {
        name: "indexes",
        comment: "Indexes over vectors, one row each, with what they hold and how well they find",
        columns: vec![
            column::text("name", "name of the index"),
            column::text("table_name", "the table whose column it indexes"),
            column::text("definition", "the statement that makes it again"),
            column::bigint("rows", "rows in the graph, deleted ones included"),
            column::bigint("pending", "rows not in the graph yet; they are searched exactly"),
            column::bigint("deleted", "rows in the graph that are no longer in the table"),
            column::bigint("bytes", "memory that it takes, bytes"),
            column::double_precision("progress", "share of the rows that are in the graph, 0..1"),
            column::double_precision(
                "recall_at_10",
                "share of the true ten nearest rows among the ten found, over a sample of real queries that were answered exactly as well; null before the first",
            )
            .nullable(),
            column::bigint("sampled_queries", "queries in that sample"),
        ],
        rows,
    }
}

fn rows(engine: &dyn Engine, _cut: Option<&Cut>) -> Vec<ArrayRef> {
    let indexes = engine.indexes();
    let rows = indexes.iter();
    vec![
        texts(rows.clone().map(|index| index.name.as_str())),
        texts(rows.clone().map(|index| index.table.as_str())),
        texts(rows.clone().map(|index| index.definition.as_str())),
        bigints(rows.clone().map(|index| Some(index.rows))),
        bigints(rows.clone().map(|index| Some(index.pending))),
        bigints(rows.clone().map(|index| Some(index.deleted))),
        bigints(rows.clone().map(|index| Some(index.bytes))),
        doubles(rows.clone().map(|index| Some(index.progress))),
        doubles(rows.clone().map(|index| index.recall_at_10)),
        bigints(rows.map(|index| Some(index.sampled_queries))),
    ]
}
