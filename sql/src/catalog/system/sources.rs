//! `vigil_catalog.sources`: a row is a source.

use arrow::array::ArrayRef;

use super::{SystemTable, bigints, doubles, integers, optional_texts, texts, timestamps};
use crate::catalog::column;
use crate::{Cut, Engine};

pub(super) fn table() -> SystemTable {
    SystemTable {
        name: "sources",
        comment: "Sources, one row each",
        columns: vec![
            column::bigint("id", "number of the source, in the order of creation from 1"),
            column::text("name", "name of the source"),
            column::text("url", "path, URL or load generator that its frames come from"),
            column::text("state", "starting, running, ended or failed"),
            column::text("mode", "lossless (decoding waits) or realtime (frames are dropped)"),
            column::text("detector", "model and version that detects, or none"),
            column::text("tracker", "the tracker that follows objects"),
            column::text("captioner", "model and version that captions, or none"),
            column::text("embedder", "model and version that embeds captions, or none"),
            column::integer("width", "width of the picture, pixels; null until known").nullable(),
            column::integer("height", "height of the picture, pixels; null until known").nullable(),
            column::double_precision(
                "frame_rate",
                "the video's own frames a second; null until known",
            )
            .nullable(),
            column::bigint(
                "total_frames",
                "frames in the video, as its container says or an estimate; null when unknown",
            )
            .nullable(),
            column::text("create_sql", "the statement that makes this source again"),
            column::text("error", "why it failed; null unless it did").nullable(),
            column::timestamptz("created_at", "when CREATE SOURCE ran"),
        ],
        rows,
    }
}

fn rows(engine: &dyn Engine, _cut: Option<&Cut>) -> Vec<ArrayRef> {
    let mut sources = engine.sources();
    sources.sort_by_key(|source| source.id);
    let rows = sources.iter();
    vec![
        bigints(rows.clone().map(|source| Some(source.id))),
        texts(rows.clone().map(|source| source.name.as_str())),
        texts(rows.clone().map(|source| source.url.as_str())),
        texts(rows.clone().map(|source| source.state.as_str())),
        texts(rows.clone().map(|source| source.mode.as_str())),
        texts(rows.clone().map(|source| source.detector.as_str())),
        texts(rows.clone().map(|source| source.tracker.as_str())),
        texts(rows.clone().map(|source| source.captioner.as_str())),
        texts(rows.clone().map(|source| source.embedder.as_str())),
        integers(rows.clone().map(|source| source.width)),
        integers(rows.clone().map(|source| source.height)),
        doubles(rows.clone().map(|source| source.frame_rate)),
        bigints(rows.clone().map(|source| source.total_frames)),
        texts(rows.clone().map(|source| source.create_sql.as_str())),
        optional_texts(rows.clone().map(|source| source.error.as_deref())),
        timestamps(rows.map(|source| Some(source.created_at_micros))),
    ]
}
