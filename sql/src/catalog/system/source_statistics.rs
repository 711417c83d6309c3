//! `vigil_catalog.source_statistics`: a row is a source's counters.

use arrow::array::ArrayRef;

use super::{SystemTable, bigints, doubles, texts};
use crate::catalog::column;
use crate::{Cut, Engine, SourceInfo};

pub(super) fn table() -> SystemTable {
    SystemTable {
        name: "source_statistics",
        comment: "Counters of sources, one row each",
        columns: vec![
            column::text("source", "name of the source"),
            column::bigint("frames_decoded", "frames that left the decoder"),
            column::bigint("frames_processed", "frames whose rows can be seen"),
            column::bigint("frames_dropped", "frames dropped undetected (mode = 'realtime')"),
            column::bigint("detections", "rows in detections"),
            column::bigint("tracks", "tracks that have begun and did not turn out to be noise"),
            column::bigint("captions", "rows in captions"),
            column::bigint(
                "errors",
                "faults since it was made; source_errors keeps the newest 10,000",
            ),
            column::bigint("bytes_in_flight", "bytes of pictures in flight"),
            column::double_precision(
                "frames_per_second",
                "processed frames a second since the start",
            ),
            column::double_precision(
                "latency_p50_ms",
                "median over all frames from leaving the decoder to being visible, milliseconds",
            )
            .nullable(),
            column::double_precision("latency_p95_ms", "95th percentile of the same, milliseconds")
                .nullable(),
        ],
        rows,
    }
}

fn rows(engine: &dyn Engine, _cut: Option<&Cut>) -> Vec<ArrayRef> {
    let mut sources = engine.sources();
    sources.sort_by_key(|source| source.id);
    let counters = |of: fn(&SourceInfo) -> i64| bigints(sources.iter().map(|row| Some(of(row))));
    let numbers = |of: fn(&SourceInfo) -> Option<f64>| doubles(sources.iter().map(of));
    vec![
        texts(sources.iter().map(|source| source.name.as_str())),
        counters(|source| source.statistics.frames_decoded),
        counters(|source| source.statistics.frames_processed),
        counters(|source| source.statistics.frames_dropped),
        counters(|source| source.statistics.detections),
        counters(|source| source.statistics.tracks),
        counters(|source| source.statistics.captions),
        counters(|source| source.statistics.errors),
        counters(|source| source.statistics.bytes_in_flight),
        numbers(|source| Some(source.statistics.frames_per_second)),
        numbers(|source| source.statistics.latency_p50_ms),
        numbers(|source| source.statistics.latency_p95_ms),
    ]
}
