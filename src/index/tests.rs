//! The graph against an exact scan, on vectors of real sentences: the words of Flickr8k's captions,
//! each word a direction of its own.

mod ways;

use std::collections::BTreeSet;

use super::graph::{Graph, GraphOptions, LinkScratch, RowKey};
use super::kernel::Metric;
use super::search::{Effort, Found, Resumable, Search};
use super::*;

/// So many that graphs for products are walked by eight bits, and no multiple of a register's.
const DIMENSIONS: usize = 150;
/// So few that they are not.
const FEW_DIMENSIONS: usize = 90;

/// The sentences' vectors, or nothing where there is no test data.
fn sentences(dimensions: usize) -> Option<Vec<Vec<f32>>> {
    let sentences = vigil_test_data::sentences()?;
    let vectors =
        sentences.iter().map(|sentence| vigil_test_data::vector_of_words(sentence, dimensions));
    Some(vectors.take(16 * Graph::CHUNK).collect())
}

fn graph(vectors: &[Vec<f32>], metric: Metric, precision: Precision) -> Graph {
    let dimensions = vectors[0].len();
    let options = GraphOptions { dimensions, metric, precision, m: 16, ef_construction: 100 };
    let graph = Graph::new(options);
    let mut scratch = LinkScratch::default();
    for (number, chunk) in vectors.chunks_exact(Graph::CHUNK).enumerate() {
        let row = |at| u32::try_from(number * Graph::CHUNK + at).expect("few rows");
        let keys: Vec<RowKey> =
            (0..Graph::CHUNK).map(|at| RowKey { part: 0, row: row(at) }).collect();
        let first = graph.add_chunk(&keys, chunk.concat());
        for node in first..first + u32::try_from(Graph::CHUNK).expect("few") {
            graph.link(node, &mut scratch);
        }
    }
    graph
}

fn exact(
    vectors: &[Vec<f32>],
    metric: Metric,
    query: &[f32],
    accept: impl Fn(u32) -> bool,
) -> Vec<(f32, u32)> {
    let rows = (0..).zip(vectors).filter(|(row, _)| accept(*row));
    let mut all: Vec<(f32, u32)> =
        rows.map(|(row, vector)| (metric.distance(query, vector, 1.0), row)).collect();
    all.sort_by(|left, right| left.0.total_cmp(&right.0));
    all
}

/// The share of the ten found rows that are as near as the true tenth.
fn recall(
    vectors: &[Vec<f32>],
    graph: &Graph,
    metric: Metric,
    accept: impl Fn(u32) -> bool + Copy,
) -> f64 {
    let queries: Vec<&Vec<f32>> = vectors.iter().step_by(97).collect();
    let mut hits = 0;
    for query in &queries {
        let nearest = exact(vectors, metric, query, accept);
        let limit = nearest[9].0 + 1e-5;
        let mut search = Search::new(graph, query, |key: RowKey| accept(key.row), Resumable::No);
        let found = search.next_batch(100, usize::MAX);
        assert!(found.iter().all(|found| accept(found.key.row)));
        let again =
            |found: &Found| metric.distance(query, &vectors[found.key.row as usize], 1.0) <= limit;
        hits += found.iter().take(20).filter(|found| again(found)).count().min(10);
    }
    hits as f64 / (10 * queries.len()) as f64
}

#[test]
fn the_nearest_rows_are_found_for_every_distance() {
    for dimensions in [DIMENSIONS, FEW_DIMENSIONS] {
        let Some(vectors) = sentences(dimensions) else { return };
        for metric in [Metric::Cosine, Metric::L2, Metric::InnerProduct, Metric::L1] {
            let graph = graph(&vectors, metric, Precision::Full);
            let found = recall(&vectors, &graph, metric, |_| true);
            assert!(found > 0.97, "{dimensions} {metric:?}: {found}");
        }
    }
}

#[test]
fn what_is_found_by_eight_bits_is_ranked_by_whole_vectors() {
    let Some(vectors) = sentences(DIMENSIONS) else { return };
    for metric in [Metric::Cosine, Metric::InnerProduct] {
        let graph = graph(&vectors, metric, Precision::Full);
        for query in vectors.iter().step_by(501) {
            let mut search = Search::new(&graph, query, |_| true, Resumable::Yes);
            for _ in 0..3 {
                let found = search.next_batch(50, usize::MAX);
                assert_eq!(found.len(), 50);
                assert!(found.is_sorted_by(|left, right| left.distance <= right.distance));
                for Found { distance, key } in found {
                    let exact = metric.distance(query, &vectors[key.row as usize], 1.0);
                    assert_eq!(distance, exact, "{metric:?} {key:?}");
                }
            }
        }
    }
}

/// A search that ranks only what may be among the nearest gives what one that ranks all begins with.
#[test]
fn the_nearest_are_the_first_of_a_batch() {
    let Some(mut vectors) = sentences(DIMENSIONS) else { return };
    // Of different lengths, which count for the inner product.
    for (row, vector) in vectors.iter_mut().enumerate().skip(1).step_by(2) {
        vector.iter_mut().for_each(|value| *value *= 0.5 + (row % 7) as f32);
    }
    for (metric, normed) in [(Metric::Cosine, true), (Metric::InnerProduct, false)] {
        let vectors: Vec<Vec<f32>> = vectors
            .iter()
            .map(|vector| match vector_index::norm(vector) {
                norm if normed && norm > 0.0 => vector.iter().map(|value| value / norm).collect(),
                _ => vector.clone(),
            })
            .collect();
        let graph = graph(&vectors, metric, Precision::Full);
        for query in vectors.iter().step_by(97) {
            for k in [1, 10, 60, 99, 100, 500] {
                let search = || Search::new(&graph, query, |_| true, Resumable::No);
                let all = search().next_batch(100, usize::MAX);
                let nearest = search().nearest(100, usize::MAX, k, Effort::Whole);
                let first = k.min(all.len());
                assert!(nearest.len() >= first, "{metric:?} {k}");
                assert_eq!(nearest[..first], all[..first], "{metric:?} {k}");
                assert!(nearest.iter().all(|found| all.contains(found)));
                assert!(nearest.is_sorted_by(|left, right| left.distance <= right.distance));
            }
        }
    }
}

#[test]
fn fewer_bits_find_nearly_the_same_rows() {
    let Some(vectors) = sentences(DIMENSIONS) else { return };
    for (precision, least) in [(Precision::Half, 0.97), (Precision::Int8, 0.9)] {
        let graph = graph(&vectors, Metric::Cosine, precision);
        let found = recall(&vectors, &graph, Metric::Cosine, |_| true);
        assert!(found > least, "{precision:?}: {found}");
    }
}

#[test]
fn rows_that_do_not_count_take_no_place() {
    let Some(vectors) = sentences(DIMENSIONS) else { return };
    let graph = graph(&vectors, Metric::Cosine, Precision::Full);
    for every in [2, 20, 100] {
        let found = recall(&vectors, &graph, Metric::Cosine, |row| row % every == 0);
        assert!(found > 0.97, "one in {every}: {found}");
    }
}

#[test]
fn as_many_rows_come_as_are_asked_for() {
    let Some(vectors) = sentences(DIMENSIONS) else { return };
    let graph = graph(&vectors, Metric::Cosine, Precision::Full);
    let mut search = Search::new(&graph, &vectors[5], |_| true, Resumable::No);
    assert_eq!(search.next_batch(500, usize::MAX).len(), 500);
    assert!(search.statistics().hops > 100);
}

#[test]
fn pages_repeat_no_row_and_end_with_all_of_them() {
    let Some(vectors) = sentences(DIMENSIONS) else { return };
    let graph = graph(&vectors, Metric::Cosine, Precision::Full);
    let mut search = Search::new(&graph, &vectors[7], |_| true, Resumable::Yes);
    let mut seen = BTreeSet::new();
    loop {
        let page = search.next_batch(100, usize::MAX);
        if page.is_empty() {
            break;
        }
        for found in page {
            assert!(seen.insert(found.key), "{:?} came twice", found.key);
        }
    }
    let share = seen.len() as f64 / vectors.len() as f64;
    assert!(share > 0.99, "{share} of the rows can be reached");
}

#[test]
fn thousands_of_the_same_sentence_hide_no_other() {
    let Some(mut vectors) = sentences(DIMENSIONS) else { return };
    let copy = vectors[0].clone();
    for vector in vectors.iter_mut().take(9 * Graph::CHUNK) {
        *vector = copy.clone();
    }
    let graph = graph(&vectors, Metric::Cosine, Precision::Full);
    let found = recall(&vectors, &graph, Metric::Cosine, |_| true);
    assert!(found > 0.97, "{found}");
    let others = |row: u32| row as usize >= 9 * Graph::CHUNK;
    let mut search = Search::new(&graph, &copy, |key: RowKey| others(key.row), Resumable::No);
    assert_eq!(search.next_batch(100, usize::MAX).len(), 100);
}

/// A search that came to a node before it had its edges on the lowest level would end there, and
/// the rows that were linked by such a search would be lost. It happens most where the graph is small.
#[test]
fn threads_that_link_at_once_lose_no_row() {
    let Some(mut vectors) = sentences(DIMENSIONS) else { return };
    vectors.truncate(8 * Graph::CHUNK);
    let options = GraphOptions {
        dimensions: DIMENSIONS,
        metric: Metric::Cosine,
        precision: Precision::Full,
        m: 16,
        ef_construction: 100,
    };
    for round in 0..3 {
        let graph = Graph::new(options);
        for (number, chunk) in vectors.chunks_exact(Graph::CHUNK).enumerate() {
            let row = |at| u32::try_from(number * Graph::CHUNK + at).expect("few rows");
            let keys: Vec<RowKey> =
                (0..Graph::CHUNK).map(|at| RowKey { part: 0, row: row(at) }).collect();
            graph.add_chunk(&keys, chunk.concat());
        }
        let nodes = u32::try_from(graph.rows()).expect("few rows");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let graph = &graph;
                scope.spawn(move || {
                    let mut scratch = LinkScratch::default();
                    for node in (thread..nodes).step_by(4) {
                        graph.link(node, &mut scratch);
                    }
                });
            }
        });
        let is_found = |vector: &Vec<f32>| {
            let mut search = Search::new(&graph, vector, |_| true, Resumable::No);
            search
                .next_batch(100, usize::MAX)
                .first()
                .is_some_and(|nearest| nearest.distance < 1e-5)
        };
        let lost = vectors.iter().filter(|vector| !is_found(vector)).count();
        assert_eq!(lost, 0, "round {round}");
    }
}

fn unit(vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|element| element * element).sum::<f32>().sqrt();
    vector.into_iter().map(|element| element / length).collect()
}

/// Of sentences that lie in groups a search for a few looks at one group, and finds what a whole walk finds.
#[test]
fn a_search_for_few_ends_where_the_rest_is_much_farther() {
    const GROUPS: usize = 64;
    let Some(sentences) = sentences(DIMENSIONS) else { return };
    let units: Vec<Vec<f32>> = sentences.into_iter().map(unit).collect();
    let in_group = |row: usize| {
        let (center, other) = (&units[row % GROUPS], &units[row]);
        unit(center.iter().zip(other).map(|(one, other)| one + other * 0.2).collect())
    };
    let vectors: Vec<Vec<f32>> = (GROUPS..GROUPS + 2048).map(in_group).collect();
    for metric in [Metric::Cosine, Metric::L2, Metric::L1] {
        let graph = graph(&vectors, metric, Precision::Full);
        let (mut hops, mut hits) = ([0, 0], [0, 0]);
        for query in (3000..3000 + GROUPS).map(in_group) {
            let limit = exact(&vectors, metric, &query, |_| true)[9].0 + 1e-5;
            for (at, effort) in [Effort::Adaptive, Effort::Whole].into_iter().enumerate() {
                let mut search = Search::new(&graph, &query, |_| true, Resumable::No);
                let found = search.nearest(100, usize::MAX, 10, effort);
                assert!(found.len() >= 10 && !search.is_exhausted());
                hits[at] += found[..10].iter().filter(|found| found.distance <= limit).count();
                hops[at] += search.statistics().hops;
            }
        }
        assert!(hops[0] * 3 < hops[1] * 2, "{metric:?}: {hops:?}");
        assert!(hits[0] * 100 >= hits[1] * 99, "{metric:?}: {hits:?}");
    }
}

/// Copies that lie closer together than eight bits tell apart: what was found may hide what is nearer.
#[test]
fn a_search_knows_when_rounding_hides_rows() {
    let Some(sentences) = sentences(DIMENSIONS) else { return };
    let center = unit(sentences[0].clone());
    let near = |other: &Vec<f32>| {
        unit(center.iter().zip(other).map(|(one, other)| one + other * 1e-3).collect())
    };
    let apart: Vec<Vec<f32>> = sentences.iter().cloned().map(unit).collect();
    let together: Vec<Vec<f32>> = sentences.iter().map(near).collect();
    let is_unsure = |vectors: &[Vec<f32>]| {
        let graph = graph(vectors, Metric::Cosine, Precision::Full);
        let mut search = Search::new(&graph, &center, |_| true, Resumable::No);
        assert!(search.nearest(100, usize::MAX, 10, Effort::Adaptive).len() >= 10);
        search.is_unsure()
    };
    assert!(is_unsure(&together[..2048]));
    assert!(!is_unsure(&apart[..2048]));
}
