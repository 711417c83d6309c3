//! `vigil_catalog.models`: a row is a model of the manifest.

use arrow::array::ArrayRef;

use super::{SystemTable, bigints, optional_texts, texts};
use crate::catalog::column;
use crate::{Cut, Engine};

pub(super) fn table() -> SystemTable {
    SystemTable {
        name: "models",
        comment: "Models of the manifest and those that CREATE MODEL registered, one row each",
        columns: vec![
            column::text("name", "the model's name, without its version"),
            column::text("version", "the model's version"),
            column::text("task", "detector, captioner, embedder, reid, reranker or linker"),
            column::text("family", "the family that reads it, such as yolov8"),
            column::text("licence", "the licence's SPDX name, as far as it has one"),
            column::bigint("size_bytes", "all of its files together, bytes"),
            column::text("state", "missing, present or loaded"),
            column::text("device", "where a loaded model runs and why, such as cpu (as asked)")
                .nullable(),
            column::text(
                "create_sql",
                "the statement that registers it again; null for models of the manifest",
            )
            .nullable(),
        ],
        rows,
    }
}

fn rows(engine: &dyn Engine, _cut: Option<&Cut>) -> Vec<ArrayRef> {
    let models = engine.models();
    let rows = models.iter();
    vec![
        texts(rows.clone().map(|model| model.name.as_str())),
        texts(rows.clone().map(|model| model.version.as_str())),
        texts(rows.clone().map(|model| model.task.as_str())),
        texts(rows.clone().map(|model| model.family.as_str())),
        texts(rows.clone().map(|model| model.licence.as_str())),
        bigints(rows.clone().map(|model| Some(model.size_bytes))),
        texts(rows.clone().map(|model| model.state.as_str())),
        optional_texts(rows.clone().map(|model| model.device.as_deref())),
        optional_texts(rows.map(|model| model.create_sql.as_deref())),
    ]
}
