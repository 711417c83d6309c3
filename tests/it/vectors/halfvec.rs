//! An index over `embedding::halfvec(384)`, as pgvector's users keep one of half the size.

use super::fixture::{Fixture, literal, recall};

#[test]
fn an_index_over_halves_is_used_for_its_own_order() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..4000);
    let sql = |order: &str, filter: &str| {
        let query = literal("two dogs run in the snow");
        format!(
            "SELECT frame_number, {order} {query} FROM captions {filter} ORDER BY {order} {query} LIMIT 20"
        )
    };
    let halves = "embedding::halfvec(384) <=>";
    let filter = "WHERE frame_number % 3 = 1";
    assert!(!fixture.plan(&sql(halves, "")).contains("VectorScan"), "no index is over halves");
    let expected = [fixture.rows(&sql(halves, "")), fixture.rows(&sql(halves, filter))];
    fixture.rows(
        "CREATE INDEX halves ON captions USING hnsw ((embedding::halfvec(384)) halfvec_cosine_ops)",
    );
    fixture.rows("REINDEX INDEX halves");
    for (filter, expected) in ["", filter].into_iter().zip(&expected) {
        let plan = fixture.plan(&sql(halves, filter));
        assert!(plan.contains("index=halves"), "{plan}");
        let found = fixture.rows(&sql(halves, filter));
        // The distances are those of the halves, too.
        let share = recall(&found, expected);
        assert!(share >= 0.95, "{filter}: {found:?} {expected:?}");
    }
    // Another order, that of whole vectors, and a cast without a length are not the index's.
    let plain = fixture.plan(&sql("embedding <=>", ""));
    assert!(plain.contains("index=captions_embedding_idx"), "{plain}");
    let mixed =
        sql("embedding <=>", "").replace("ORDER BY embedding", "ORDER BY embedding::halfvec");
    for sql in [sql("embedding::halfvec(384) <->", ""), mixed] {
        let plan = fixture.plan(&sql);
        assert!(!plan.contains("VectorScan"), "{plan}");
    }
    let definition =
        fixture.rows("SELECT definition FROM vigil_catalog.indexes WHERE name = 'halves'");
    assert_eq!(
        definition,
        [[
            "CREATE INDEX halves ON public.captions USING hnsw (((embedding)::halfvec(384)) halfvec_cosine_ops) WITH (m = 16, ef_construction = 200)"
        ]]
    );
    // What it says makes it again.
    fixture.rows("DROP INDEX halves");
    fixture.rows(&definition[0][0]);
    assert!(fixture.plan(&sql(halves, "")).contains("index=halves"));
}

#[test]
fn indexes_over_other_expressions_are_refused() {
    let Some(mut fixture) = Fixture::new() else { return };
    let on = "CREATE INDEX ON captions USING hnsw";
    for (what, sqlstate, message) in [
        (
            "((embedding::halfvec(384)) vector_cosine_ops)",
            "42804",
            "operator class \"vector_cosine_ops\" does not accept data type halfvec",
        ),
        (
            "((embedding::halfvec(384)))",
            "42704",
            "data type halfvec has no default operator class for access method \"hnsw\"",
        ),
        ("((embedding::halfvec) halfvec_l2_ops)", "22023", "column does not have dimensions"),
        ("((embedding::halfvec(100)) halfvec_l2_ops)", "22000", "expected 100 dimensions, not 384"),
        (
            "((embedding::halfvec(0)) halfvec_l2_ops)",
            "22023",
            "dimensions for type halfvec must be at least 1",
        ),
        (
            "((lower(caption)) halfvec_l2_ops)",
            "0A000",
            "indexes over expressions other than a cast to halfvec are not supported",
        ),
        (
            "((caption::halfvec(384)) halfvec_l2_ops)",
            "42804",
            "operator class \"halfvec_l2_ops\" does not accept data type text",
        ),
    ] {
        let refused = fixture.refused(&format!("{on} {what}"));
        assert_eq!(refused, (sqlstate.to_owned(), message.to_owned()), "{what}");
    }
}
