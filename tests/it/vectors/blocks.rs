//! Indexes and transaction blocks.

use super::fixture::Fixture;

const CREATE: &str = "CREATE INDEX in_block ON captions USING hnsw (embedding vector_l2_ops)";

fn is_there(fixture: &mut Fixture) -> bool {
    !fixture.rows("SELECT 1 FROM vigil_catalog.indexes WHERE name = 'in_block'").is_empty()
}

#[test]
fn an_index_of_a_block_that_is_rolled_back_is_gone() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..100);
    fixture.rows("BEGIN");
    fixture.rows(CREATE);
    assert!(is_there(&mut fixture));
    fixture.rows("ROLLBACK");
    assert!(!is_there(&mut fixture));

    fixture.rows("BEGIN");
    fixture.rows("SAVEPOINT before");
    fixture.rows(CREATE);
    fixture.rows("ROLLBACK TO before");
    assert!(!is_there(&mut fixture));
    fixture.rows(CREATE);
    fixture.rows("COMMIT");
    assert!(is_there(&mut fixture));
    fixture.rows("BEGIN");
    fixture.rows("ROLLBACK");
    assert!(is_there(&mut fixture));
}

#[test]
fn what_runs_concurrently_is_refused_in_a_block() {
    let Some(mut fixture) = Fixture::new() else { return };
    for (sql, name) in [
        (CREATE.replace("INDEX", "INDEX CONCURRENTLY"), "CREATE INDEX CONCURRENTLY"),
        ("DROP INDEX CONCURRENTLY captions_embedding_idx".into(), "DROP INDEX CONCURRENTLY"),
        ("REINDEX INDEX CONCURRENTLY captions_embedding_idx".into(), "REINDEX CONCURRENTLY"),
        ("REINDEX TABLE CONCURRENTLY captions".into(), "REINDEX CONCURRENTLY"),
    ] {
        fixture.rows("BEGIN");
        let message = format!("{name} cannot run inside a transaction block");
        assert_eq!(fixture.refused(&sql), ("25001".to_owned(), message), "{sql}");
        fixture.rows("ROLLBACK");
    }
    fixture.rows(&CREATE.replace("INDEX", "INDEX CONCURRENTLY"));
    assert!(is_there(&mut fixture));
    let refused = fixture.refused("DROP INDEX CONCURRENTLY in_block, captions_embedding_idx");
    assert_eq!(refused.0, "0A000");
    fixture.rows("DROP INDEX CONCURRENTLY in_block");
    assert!(!is_there(&mut fixture));
}
