//! `vigil_catalog.frontiers`: a row says up to where a source's table is complete.

use arrow::array::ArrayRef;

use super::{SystemTable, bigints, texts, timestamps};
use crate::catalog::column;
use crate::{Cut, Engine};

pub(super) fn table() -> SystemTable {
    SystemTable {
        name: "frontiers",
        comment: "Up to where each table of each source is complete, one row each",
        columns: vec![
            column::text("source", "name of the source"),
            column::text("table_name", "name of the table"),
            column::bigint("tick", "the dataflow tick (milliseconds of the engine's clock) below which all is there; null when the source has ended and all of it is")
                .nullable(),
            column::bigint("frame_number", "the last frame that is complete; null before the first")
                .nullable(),
            column::timestamptz("ts", "when the camera saw that frame; null before the first")
                .nullable(),
        ],
        rows,
    }
}

fn rows(engine: &dyn Engine, cut: Option<&Cut>) -> Vec<ArrayRef> {
    let frontiers = engine.frontiers(cut);
    let rows = frontiers.iter();
    vec![
        texts(rows.clone().map(|frontier| frontier.source.as_str())),
        texts(rows.clone().map(|frontier| frontier.table.as_str())),
        bigints(rows.clone().map(|frontier| frontier.tick)),
        bigints(rows.clone().map(|frontier| frontier.frame_number)),
        timestamps(rows.map(|frontier| frontier.ts_micros)),
    ]
}
