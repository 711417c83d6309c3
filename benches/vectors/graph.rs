//! The graph alone, without SQL.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use vigil::index::{
    Graph, GraphOptions, LinkScratch, Metric, Precision, Resumable, RowKey, Search,
};

use crate::K;
use crate::data::{DIMENSIONS, Data, Vector, finds_same_image, product};

/// A graph of the rows that fill chunks; the last ones that do not are left out of it and of what
/// is compared.
pub(crate) fn build(rows: &[Vector]) -> Graph {
    let options = GraphOptions {
        dimensions: DIMENSIONS,
        metric: Metric::Cosine,
        precision: Precision::Full,
        m: 16,
        ef_construction: 200,
    };
    let graph = Graph::new(options);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for (number, chunk) in rows.chunks_exact(Graph::CHUNK).enumerate() {
        let row = |at| u32::try_from(number * Graph::CHUNK + at).unwrap_or(u32::MAX);
        let keys: Vec<RowKey> =
            (0..Graph::CHUNK).map(|at| RowKey { part: 0, row: row(at) }).collect();
        let first = graph.add_chunk(&keys, chunk.concat());
        let (next, end) = (AtomicU32::new(first), row(Graph::CHUNK - 1));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let mut scratch = LinkScratch::default();
                    loop {
                        let node = next.fetch_add(1, Ordering::Relaxed);
                        if node > end {
                            break;
                        }
                        graph.link(node, &mut scratch);
                    }
                });
            }
        });
    }
    graph
}

fn nearest(
    graph: &Graph,
    query: &[f32],
    ef: usize,
    accept: impl FnMut(RowKey) -> bool,
) -> Vec<u32> {
    let mut search = Search::new(graph, query, accept, Resumable::No);
    let found = search.next_batch(ef, usize::MAX);
    found.iter().take(K).map(|found| found.key.row).collect()
}

fn recall(graph: &Graph, data: &Data, ef: usize) -> f64 {
    let ids = |query: &Vector| {
        nearest(graph, query, ef, |_| true).into_iter().map(i64::from).collect::<Vec<_>>()
    };
    let found: Vec<_> = data.queries.iter().map(ids).collect();
    data.recall(&found, None)
}

/// The least ef with at least this recall, and the recall with it.
///
/// # Errors
/// When no ef up to 400 has it.
pub(crate) fn ef_for(graph: &Graph, data: &Data, wanted: f64) -> Result<(usize, f64)> {
    let mut with_recall = (K..=400).map(|ef| (ef, recall(graph, data, ef)));
    with_recall
        .find(|(_, recall)| *recall >= wanted)
        .with_context(|| format!("a recall of {wanted} is not reached with ef = 400"))
}

/// Seconds for all queries, one after the other.
pub(crate) fn seconds(graph: &Graph, data: &Data, ef: usize) -> f64 {
    let start = Instant::now();
    for query in &data.queries {
        std::hint::black_box(nearest(graph, query, ef, |_| true));
    }
    start.elapsed().as_secs_f64()
}

/// Sentences that are tried; each needs an exact search as well.
const TRIED: usize = 2_000;

/// For 1, 5 and 10 rows: how much smaller the share of sentences is for which the graph finds
/// another sentence of the same image than the share for which an exact search does.
pub(crate) fn image_recall_gaps(data: &Data) -> Vec<(usize, f64)> {
    let whole = data.sentence_vectors.len() / Graph::CHUNK * Graph::CHUNK;
    let vectors = &data.sentence_vectors[..whole];
    let graph = build(vectors);
    let step = (whole / TRIED).max(1);
    let tried: Vec<usize> = (0..whole).step_by(step).collect();
    let by_graph: HashMap<usize, Vec<usize>> = tried
        .iter()
        .map(|sentence| {
            let found =
                nearest(&graph, &vectors[*sentence], 100, |key| key.row as usize != *sentence);
            (*sentence, found.into_iter().map(|row| row as usize).collect())
        })
        .collect();
    let exactly: HashMap<usize, Vec<usize>> = tried
        .iter()
        .map(|sentence| {
            let query = &vectors[*sentence];
            let mut rows: Vec<(f32, usize)> = vectors
                .iter()
                .enumerate()
                .filter(|(row, _)| row != sentence)
                .map(|(row, vector)| (1.0 - product(query, vector), row))
                .collect();
            let count = K.min(rows.len());
            rows.select_nth_unstable_by(count - 1, |a, b| a.0.total_cmp(&b.0));
            rows.truncate(count);
            rows.sort_by(|a, b| a.0.total_cmp(&b.0));
            (*sentence, rows.into_iter().map(|(_, row)| row).collect())
        })
        .collect();
    let gap = |k: usize| {
        let share = |found: &HashMap<usize, Vec<usize>>| {
            let hits = finds_same_image(data, tried.iter().copied(), k, |s| found[&s].clone());
            crate::count(hits.len()) / crate::count(tried.len())
        };
        let (exact, found) = (share(&exactly), share(&by_graph));
        eprintln!("    R@{k}: {found:.4} with the graph, {exact:.4} exactly");
        (k, exact - found)
    };
    [1, 5, 10].map(gap).to_vec()
}
