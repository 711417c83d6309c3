//! `vigil_catalog.source_errors`: a row is something that went wrong with a source.

use arrow::array::ArrayRef;

use super::{SystemTable, bigints, texts, timestamps};
use crate::catalog::column;
use crate::{Cut, Engine};

pub(super) fn table() -> SystemTable {
    SystemTable {
        name: "source_errors",
        comment: "What went wrong with sources, one row each, oldest first",
        columns: vec![
            column::text("source", "name of the source"),
            column::bigint("frame_number", "the frame; null when none is known").nullable(),
            column::text("stage", "decode, detect, track, keyframe, caption or embed"),
            column::text("sqlstate", "PostgreSQL's code for the error"),
            column::text("message", "what went wrong"),
            column::timestamptz("at", "when it went wrong"),
        ],
        rows,
    }
}

fn rows(engine: &dyn Engine, _cut: Option<&Cut>) -> Vec<ArrayRef> {
    let faults = engine.source_faults();
    let rows = faults.iter();
    vec![
        texts(rows.clone().map(|fault| fault.source.as_str())),
        bigints(rows.clone().map(|fault| fault.frame_number)),
        texts(rows.clone().map(|fault| fault.stage.as_str())),
        texts(rows.clone().map(|fault| fault.sqlstate.as_str())),
        texts(rows.clone().map(|fault| fault.message.as_str())),
        timestamps(rows.map(|fault| Some(fault.at_micros))),
    ]
}
