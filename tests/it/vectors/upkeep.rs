//! What happens to an index in the background: samples of queries are answered exactly, and rows
//! that are gone are taken out of the graph.

use std::time::{Duration, Instant};

use vigil::SourceId;

use super::fixture::{Fixture, literal};

/// The background has so long; it needs a part of a second, more in a build without optimisation.
const PATIENCE: Duration = Duration::from_secs(90);

/// Asks until the answer is as expected: nothing but the catalog tells when the background is done.
fn until(
    fixture: &mut Fixture,
    sql: &str,
    mut is_there: impl FnMut(&mut Fixture, &[Vec<String>]) -> bool,
) {
    let begun = Instant::now();
    loop {
        let found = fixture.rows(sql);
        if is_there(fixture, &found) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{sql}: {found:?}");
        std::thread::yield_now();
    }
}

#[test]
fn recall_is_observed_of_real_queries() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..2560);
    fixture.reindex();
    let observed = "SELECT sampled_queries, recall_at_10 FROM vigil_catalog.indexes WHERE name = 'captions_embedding_idx'";
    assert_eq!(fixture.rows(observed), [["0", "NULL"]]);
    // The first query is a sample, then one in 32 unless the last one was not long ago.
    let queries: Vec<String> =
        fixture.sentences.iter().step_by(31).take(200).map(|sentence| literal(sentence)).collect();
    let mut next = queries.iter().cycle();
    until(&mut fixture, observed, |fixture, rows| {
        let query = next.next().expect("it goes round");
        let sql =
            format!("SELECT frame_number FROM captions ORDER BY embedding <=> {query} LIMIT 10");
        assert_eq!(fixture.rows(&sql).len(), 10);
        let (samples, recall) = (rows[0][0].parse::<i64>(), rows[0][1].parse::<f64>());
        samples.is_ok_and(|samples| samples >= 2)
            && recall.is_ok_and(|recall| (0.9..=1.0).contains(&recall))
    });
}

/// A partial index, and a search with a condition.
#[test]
fn recall_is_observed_of_searches_with_conditions() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..3072);
    fixture.rows("CREATE INDEX of_lobby ON captions USING hnsw (embedding vector_cosine_ops) WHERE source = 'lobby'");
    let query = literal(&fixture.sentences[7].clone());
    let sql = format!(
        "SELECT frame_number FROM captions WHERE source = 'lobby' ORDER BY embedding <=> {query} LIMIT 10"
    );
    assert!(fixture.plan(&sql).contains("index=of_lobby"), "{}", fixture.plan(&sql));
    let observed =
        "SELECT sampled_queries, recall_at_10 FROM vigil_catalog.indexes WHERE name = 'of_lobby'";
    until(&mut fixture, observed, |fixture, rows| {
        assert_eq!(fixture.rows(&sql).len(), 10);
        rows[0][0] != "0" && rows[0][1].parse::<f64>().is_ok_and(|recall| recall >= 0.9)
    });
}

#[test]
fn rows_that_are_gone_are_taken_out_of_the_graph() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..1024);
    fixture.commit(2, "yard", 1024..2048);
    fixture.reindex();
    let counts = "SELECT rows, pending, deleted FROM vigil_catalog.indexes WHERE name = 'captions_embedding_idx'";
    assert_eq!(fixture.rows(counts), [["2048", "0", "0"]]);
    fixture.engine.tables().remove_source(SourceId(1));
    fixture.commit(2, "yard", 2048..2049);
    until(&mut fixture, counts, |_, rows| rows == [["1024", "1", "0"]]);
    let query = literal(&fixture.sentences[2048].clone());
    let sql = format!(
        "SELECT source FROM captions ORDER BY embedding <=> {query}, frame_number DESC LIMIT 3"
    );
    assert_eq!(fixture.rows(&sql), [["yard"], ["yard"], ["yard"]]);
}

#[test]
fn the_catalog_tells_of_sizes_and_conditions() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..600);
    fixture.reindex();
    let bytes = fixture
        .rows("SELECT bytes FROM vigil_catalog.indexes WHERE name = 'captions_embedding_idx'");
    assert_ne!(bytes, [["0"]]);
    for sql in [
        "SELECT pg_relation_size('captions_embedding_idx')",
        "SELECT pg_total_relation_size('public.captions_embedding_idx')",
        "SELECT pg_indexes_size('captions')",
        "SELECT pg_relation_size(oid) FROM pg_class WHERE relname = 'captions_embedding_idx'",
        "SELECT pg_indexes_size(oid) FROM pg_class WHERE relname = 'captions'",
    ] {
        assert_eq!(fixture.rows(sql), bytes, "{sql}");
    }
    // What rows take is not known, and what is not there has no size.
    assert_eq!(fixture.rows("SELECT pg_relation_size('captions')"), [["NULL"]]);
    assert_eq!(fixture.refused("SELECT pg_relation_size('nowhere')").0, "42P01");
    let conditions = "SELECT c.relname, pg_get_expr(i.indpred, i.indrelid) FROM pg_index i \
                      JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indpred IS NOT NULL ORDER BY 1";
    assert_eq!(
        fixture.rows(conditions),
        [
            ["embeddings_appearance_idx", "(kind = 'appearance')"],
            ["embeddings_caption_idx", "(kind = 'caption')"]
        ]
    );
}
