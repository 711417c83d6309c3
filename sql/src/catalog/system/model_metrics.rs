//! `vigil_catalog.model_metrics`: a row is a model that is or was loaded, in one way of opening it.

use arrow::array::ArrayRef;

use super::{SystemTable, bigints, doubles, optional_texts, texts, timestamps};
use crate::catalog::column;
use crate::{Cut, Engine};

pub(super) fn table() -> SystemTable {
    SystemTable {
        name: "model_metrics",
        comment: "Models that are or were loaded, with what they did since the server started; one row for each model and way of opening it",
        columns: vec![
            column::text("model", "name with version, as rows name it, such as yolov8n:1"),
            column::text("task", "detector, captioner, embedder, reid, reranker or linker"),
            column::text("provider", "where it runs: cpu, cuda or tensorrt").nullable(),
            column::text("provider_reason", "why there, such as: as asked").nullable(),
            column::timestamptz(
                "loaded_at",
                "since when it is in memory; null while nothing uses it, and it is not",
            )
            .nullable(),
            column::bigint("calls", "requests that were answered, also those that failed"),
            column::bigint("items", "pictures, cut-outs or texts of these requests"),
            column::bigint("batches", "runs, each of one request or several"),
            column::bigint("errors", "requests that failed"),
            column::bigint("queue_length", "requests that wait now"),
            column::double_precision(
                "latency_p50_ms",
                "median time from a request to its answer, waiting included, milliseconds; null before the first",
            )
            .nullable(),
            column::double_precision("latency_p95_ms", "95th percentile of the same, milliseconds")
                .nullable(),
            column::double_precision("latency_p99_ms", "99th percentile of the same, milliseconds")
                .nullable(),
            column::bigint(
                "caption_cache_hits",
                "captions of pictures that look like an earlier one of their source; null for models that are no captioners",
            )
            .nullable(),
            column::bigint("caption_cache_misses", "captions that the network had to make")
                .nullable(),
        ],
        rows,
    }
}

fn rows(engine: &dyn Engine, _cut: Option<&Cut>) -> Vec<ArrayRef> {
    let models = engine.model_metrics();
    let rows = models.iter();
    vec![
        texts(rows.clone().map(|model| model.model.as_str())),
        texts(rows.clone().map(|model| model.task.as_str())),
        optional_texts(rows.clone().map(|model| model.provider.as_deref())),
        optional_texts(rows.clone().map(|model| model.provider_reason.as_deref())),
        timestamps(rows.clone().map(|model| model.loaded_at_micros)),
        bigints(rows.clone().map(|model| Some(model.calls))),
        bigints(rows.clone().map(|model| Some(model.items))),
        bigints(rows.clone().map(|model| Some(model.batches))),
        bigints(rows.clone().map(|model| Some(model.errors))),
        bigints(rows.clone().map(|model| Some(model.queue_length))),
        doubles(rows.clone().map(|model| model.latency_p50_ms)),
        doubles(rows.clone().map(|model| model.latency_p95_ms)),
        doubles(rows.clone().map(|model| model.latency_p99_ms)),
        bigints(rows.clone().map(|model| model.caption_cache_hits)),
        bigints(rows.map(|model| model.caption_cache_misses)),
    ]
}
