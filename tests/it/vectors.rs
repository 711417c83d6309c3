//! Search by meaning through SQL: rows are committed as a source commits them, and answers of an
//! index are compared with what is computed by hand, or with the same statement without one.

mod appearances;
mod blocks;
mod fixture;
mod functions;
mod halfvec;
mod planner;
mod upkeep;

use vigil::SourceId;

use self::fixture::{DIMENSIONS, Fixture, literal, recall, vector_of};

/// The distance as the definition says, in `f64`.
fn cosine_distance(left: &[f32], right: &[f32]) -> f64 {
    let sum = |left: &[f32], right: &[f32]| -> f64 {
        left.iter().zip(right).map(|(l, r)| f64::from(*l) * f64::from(*r)).sum()
    };
    1.0 - sum(left, right) / (sum(left, left).sqrt() * sum(right, right).sqrt())
}

/// A filter, a limit, the way that is taken; which rows count, and how many of them are skipped and wanted.
type Case = (&'static str, &'static str, &'static str, fn(usize) -> bool, usize, usize);

#[test]
fn an_index_gives_what_a_computation_by_hand_gives() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..6000);
    fixture.commit(2, "yard", 6000..8000);
    fixture.reindex();
    let text = "two dogs run in the snow";
    let query = literal(text);
    let statement = |filter: &str, limit: &str| {
        format!(
            "SELECT frame_number, embedding <=> {query} FROM captions {filter} ORDER BY embedding <=> {query} {limit}"
        )
    };
    let wanted_vector = vector_of(text);
    let of_row: Vec<f64> = fixture.sentences[..8000]
        .iter()
        .map(|sentence| cosine_distance(&wanted_vector, &vector_of(sentence)))
        .collect();
    let is_any: fn(usize) -> bool = |_| true;
    let cases: [Case; 9] = [
        ("", "LIMIT 10", "graph", is_any, 0, 10),
        ("", "LIMIT 500", "graph", is_any, 0, 500),
        ("", "LIMIT 10 OFFSET 20", "graph", is_any, 20, 10),
        ("WHERE source = 'lobby'", "LIMIT 10", "traversal", |row| row < 6000, 0, 10),
        ("WHERE frame_number % 100 = 3", "LIMIT 10", "exact", |row| row % 100 == 3, 0, 10),
        (
            "WHERE source = 'yard' AND frame_number < 6010",
            "LIMIT 20",
            "exact",
            |row| (6000..6010).contains(&row),
            0,
            20,
        ),
        ("WHERE source = 'nowhere'", "LIMIT 10", "exact", |_| false, 0, 10),
        ("", "LIMIT 100000", "exact", is_any, 0, 100_000),
        ("", "LIMIT 0", "", is_any, 0, 0),
    ];
    for (filter, limit, way, counts, skipped, wanted) in cases {
        let sql = statement(filter, limit);
        if !way.is_empty() {
            let plan = fixture.plan(&sql);
            assert!(plan.contains("index=captions_embedding_idx"), "{filter} {limit}: {plan}");
            assert!(plan.contains(&format!("way={way}")), "{filter} {limit}: {plan}");
            assert!(plan.contains("candidates="), "{plan}");
        }
        let mut expected: Vec<f64> =
            (0..8000).filter(|row| counts(*row)).map(|row| of_row[row]).collect();
        expected.sort_by(f64::total_cmp);
        let expected: Vec<f64> = expected.into_iter().skip(skipped).take(wanted).collect();
        let found = fixture.rows(&sql);
        assert_eq!(found.len(), expected.len(), "{filter} {limit}");
        let mut last = f64::NEG_INFINITY;
        let mut near = 0;
        for row in &found {
            let number: usize = row[0].parse().expect("a number");
            let distance: f64 = row[1].parse().expect("a distance");
            assert!(counts(number), "{filter}: row {number} does not match");
            assert!((distance - of_row[number]).abs() < 1e-6, "{row:?} {}", of_row[number]);
            assert!(distance >= last, "{filter} {limit}: not in order");
            last = distance;
            near += usize::from(expected.last().is_some_and(|far| distance <= far + 1e-6));
        }
        let share = if found.is_empty() { 1.0 } else { near as f64 / found.len() as f64 };
        let least = if way == "exact" { 1.0 } else { 0.97 };
        assert!(share >= least, "{filter} {limit}: {share}");
    }
}

#[test]
fn new_rows_are_found_and_those_of_a_dropped_source_are_not() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..2500);
    fixture.reindex();
    let found = |fixture: &mut Fixture, row: usize| {
        let query = literal(&fixture.sentences[row].clone());
        fixture.rows(&format!(
            "SELECT source, frame_number FROM captions ORDER BY embedding <=> {query}, frame_number LIMIT 1"
        ))
    };
    fixture.commit(2, "yard", 2500..2510);
    for row in 2500..2510 {
        let expected = [["yard".to_owned(), row.to_string()]];
        let nearest = found(&mut fixture, row);
        let same = fixture.sentences[..row].contains(&fixture.sentences[row]);
        assert!(same || nearest == expected, "{row}: {nearest:?}");
    }
    fixture.engine.tables().remove_source(SourceId(2));
    for row in 2500..2510 {
        assert_eq!(found(&mut fixture, row)[0][0], "lobby");
    }
}

#[test]
fn the_catalog_tells_of_indexes() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..1100);
    fixture.reindex();
    let sql = "SELECT rows, pending, deleted, bytes > 0, progress > 0.9 FROM vigil_catalog.indexes WHERE name = 'captions_embedding_idx'";
    assert_eq!(fixture.rows(sql), [["1024", "76", "0", "true", "true"]]);
    fixture.rows(
        "CREATE INDEX lobby ON captions USING hnsw (embedding vector_l2_ops) WITH (m = 8, ef_construction = 64, precision = 'int8') WHERE source = 'lobby'",
    );
    let sql = "SELECT definition FROM vigil_catalog.indexes WHERE name = 'lobby'";
    assert_eq!(
        fixture.rows(sql),
        [[
            "CREATE INDEX lobby ON public.captions USING hnsw (embedding vector_l2_ops) WITH (m = 8, ef_construction = 64, precision = 'int8') WHERE source = 'lobby'"
        ]]
    );
    let risky = "CREATE INDEX risky ON captions USING hnsw (embedding vector_l2_ops) WHERE 10 / (frame_number - 60) > 0";
    assert_eq!(fixture.refused(risky), ("22012".into(), "division by zero".into()));
    fixture.rows(r#"CREATE INDEX "Of""Yard" ON captions USING hnsw (embedding vector_l1_ops) WHERE source = 'yard'"#);
    let sql = r#"SELECT left(definition, 23), rows, pending, progress FROM vigil_catalog.indexes WHERE name = 'Of"Yard'"#;
    assert_eq!(fixture.rows(sql), [[r#"CREATE INDEX "Of""Yard""#, "0", "0", "1.0"]]);
    let query = literal("a man on a bicycle");
    let order = format!("ORDER BY embedding <-> {query} LIMIT 5");
    let partial =
        fixture.plan(&format!("SELECT caption FROM captions WHERE source = 'lobby' {order}"));
    assert!(partial.contains("index=lobby"), "{partial}");
    let whole = fixture.plan(&format!("SELECT caption FROM captions {order}"));
    assert!(whole.contains("index=none") && whole.contains("way=exact"), "{whole}");
}

#[test]
fn wrong_indexes_are_refused_as_pgvector_does() {
    let Some(mut fixture) = Fixture::new() else { return };
    let on = "CREATE INDEX ON captions USING hnsw";
    let cases = [
        (
            format!("{on} (caption vector_cosine_ops)"),
            "42804",
            "operator class \"vector_cosine_ops\" does not accept data type text",
        ),
        (
            format!("{on} (embedding vector_cosine_ops) WITH (m = 1)"),
            "22023",
            "value 1 out of bounds for option \"m\"",
        ),
        (
            format!("{on} (embedding vector_cosine_ops) WITH (m = 30, ef_construction = 40)"),
            "22023",
            "ef_construction must be greater than or equal to 2 * m",
        ),
        (
            format!("{on} (embedding vector_cosine_ops) WITH (m = abc)"),
            "22023",
            "invalid value for integer option \"m\": abc",
        ),
        (
            format!("{on} (embedding vector_cosine_ops) WITH (foo = 1)"),
            "22023",
            "unrecognized parameter \"foo\"",
        ),
        (
            format!("{on} (embedding)"),
            "42704",
            "data type vector has no default operator class for access method \"hnsw\"",
        ),
        (
            format!("{on} (embedding foo_ops)"),
            "42704",
            "operator class \"foo_ops\" does not exist for access method \"hnsw\"",
        ),
        (
            format!("{on} (embedding halfvec_l2_ops)"),
            "42804",
            "operator class \"halfvec_l2_ops\" does not accept data type vector",
        ),
        (
            format!("{on} (embedding vector_l2_ops) WHERE nope = 1"),
            "42703",
            "column \"nope\" does not exist",
        ),
        (
            format!("{on} (embedding vector_l2_ops) WHERE frame_number"),
            "42804",
            "argument of WHERE must be type boolean, not type bigint",
        ),
        (
            format!("{on} (embedding vector_l2_ops) WHERE random() < 0.5"),
            "42P17",
            "functions in index predicate must be marked IMMUTABLE",
        ),
        (
            format!("{on} (embedding vector_l2_ops) WHERE ts > now()"),
            "42P17",
            "functions in index predicate must be marked IMMUTABLE",
        ),
        (
            format!("{on} (embedding vector_l2_ops) WHERE count(*) > 1"),
            "42803",
            "aggregate functions are not allowed in index predicates",
        ),
        (
            format!("{on} (embedding vector_l2_ops) WHERE row_number() OVER () = 1"),
            "42P20",
            "window functions are not allowed in index predicates",
        ),
        (
            format!("{on} (embedding vector_l2_ops) WHERE source IN (SELECT source FROM frames)"),
            "0A000",
            "cannot use subquery in index predicate",
        ),
        (
            format!("{on} (embedding vector_l2_ops) WHERE nope(source) = 1"),
            "42883",
            "function nope is not known in index predicates",
        ),
        (
            "CREATE INDEX ON embeddings USING hnsw (embedding vector_l2_ops)".into(),
            "22023",
            "column does not have dimensions",
        ),
        (format!("{on} (nope vector_l2_ops)"), "42703", "column \"nope\" does not exist"),
        (
            "CREATE INDEX ON nope USING hnsw (e vector_l2_ops)".into(),
            "42P01",
            "relation \"nope\" does not exist",
        ),
        (
            "CREATE INDEX captions_embedding_idx ON captions USING hnsw (embedding vector_l2_ops)"
                .into(),
            "42P07",
            "relation \"captions_embedding_idx\" already exists",
        ),
        (
            "CREATE INDEX ON captions USING foo (embedding vector_l2_ops)".into(),
            "42704",
            "access method \"foo\" does not exist",
        ),
        ("DROP INDEX nope".into(), "42704", "index \"nope\" does not exist"),
        (
            "DROP INDEX captions_embedding_idx, nope".into(),
            "42704",
            "index \"nope\" does not exist",
        ),
        ("REINDEX TABLE nope".into(), "42P01", "relation \"nope\" does not exist"),
        ("DROP INDEX other.nope".into(), "42P01", "relation \"other.nope\" does not exist"),
        (
            format!("{on} (embedding vector_cosine_ops DESC)"),
            "0A000",
            "access method \"hnsw\" does not support ASC/DESC options",
        ),
        (
            format!("{on} (embedding vector_cosine_ops) INCLUDE (source)"),
            "0A000",
            "access method \"hnsw\" does not support included columns",
        ),
        (
            "SET hnsw.ef_search = 0".into(),
            "22023",
            "0 is outside the valid range for parameter \"hnsw.ef_search\" (1 .. 1000)",
        ),
        ("SET hnsw.foo = 1".into(), "42602", "invalid configuration parameter name \"hnsw.foo\""),
    ];
    for (sql, sqlstate, message) in cases {
        let refused = fixture.refused(&sql);
        assert_eq!(refused, (sqlstate.to_owned(), message.to_owned()), "{sql}");
    }
    fixture.rows("DROP INDEX IF EXISTS nope");
    // Those that were named beside one that is not there are still there.
    let names = "SELECT name FROM vigil_catalog.indexes ORDER BY name";
    assert_eq!(fixture.rows(names).len(), 3);
    fixture.rows("CREATE INDEX one ON public.captions USING hnsw (embedding public.vector_l2_ops)");
    fixture.rows("REINDEX (VERBOSE) TABLE CONCURRENTLY public.captions");
    fixture.rows("DROP INDEX public.one, captions_embedding_idx CASCADE");
    assert_eq!(fixture.rows(names), [["embeddings_appearance_idx"], ["embeddings_caption_idx"]]);
}

#[test]
fn queries_that_no_index_can_answer_are_answered_all_the_same() {
    let Some(mut fixture) = Fixture::new() else { return };
    let zero = format!("'[{}]'", vec!["0"; DIMENSIONS].join(","));
    let query = literal("a dog");
    let sql = format!("SELECT caption FROM captions ORDER BY embedding <=> {query} LIMIT 10");
    assert!(fixture.rows(&sql).is_empty());
    fixture.commit(1, "lobby", 0..600);
    fixture.reindex();
    let sql =
        format!("SELECT embedding <=> {zero} FROM captions ORDER BY embedding <=> {zero} LIMIT 3");
    assert_eq!(fixture.rows(&sql), [["NULL"], ["NULL"], ["NULL"]]);
    let sql = "SELECT caption FROM captions ORDER BY embedding <=> '[1,2]' LIMIT 3";
    assert_eq!(fixture.refused(sql).1, "different vector dimensions 384 and 2");
    let sql = format!("SELECT caption FROM captions ORDER BY embedding <=> {query} LIMIT -1");
    assert!(fixture.try_rows(&sql).is_err(), "a negative limit");
    let sql = format!("SELECT caption FROM captions ORDER BY embedding <=> {query} DESC LIMIT 2");
    assert_eq!(fixture.rows(&sql).len(), 2);
}

#[test]
fn vectors_of_two_models_are_not_compared() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..600);
    fixture.reindex();
    // The rows' model is "words:1"; the text is embedded by another one.
    let embed = "embed('two dogs run')";
    let refused = fixture.refused(&format!(
        "SELECT frame_number FROM captions ORDER BY embedding <=> {embed} LIMIT 5"
    ));
    assert_eq!(refused.0, "22023");
    assert!(
        refused.1.starts_with("different vector models words:1 and all-minilm-l6-v2"),
        "{refused:?}"
    );
    for sql in [
        format!("SELECT embedding <-> {embed} FROM captions LIMIT 1"),
        format!("SELECT count(*) FROM captions WHERE embedding <#> {embed} < 0"),
        "SELECT * FROM vector_search('captions', 'two dogs run')".to_owned(),
        format!("SELECT a.frame_number FROM captions a ORDER BY a.embedding <=> {embed} LIMIT 1"),
        format!(
            "WITH c AS (SELECT frame_number, embedding FROM captions) \
             SELECT frame_number FROM c ORDER BY embedding <=> {embed} LIMIT 5"
        ),
        format!("SELECT s.v <-> {embed} FROM (SELECT embedding AS v FROM captions LIMIT 3) s"),
        format!(
            "SELECT count(*) FROM (SELECT embedding FROM captions) s WHERE s.embedding <#> {embed} < 0"
        ),
        format!("SELECT l2_normalize(embedding) <-> {embed} FROM captions LIMIT 1"),
        format!("SELECT embedding <-> l2_normalize({embed}) FROM captions LIMIT 1"),
        format!("SELECT subvector(embedding, 1, 9) <-> subvector({embed}, 1, 9) FROM captions"),
        format!(
            "SELECT frame_number FROM captions \
             ORDER BY embedding::halfvec(384) <=> {embed}::halfvec(384) LIMIT 1"
        ),
    ] {
        assert_eq!(fixture.refused(&sql).0, "22023", "{sql}");
    }
    // A row that is not compared raises nothing, and what has no model compares with everything.
    let none = fixture.rows(&format!(
        "SELECT frame_number FROM captions WHERE source = 'yard' ORDER BY embedding <=> {embed} LIMIT 5"
    ));
    assert!(none.is_empty(), "{none:?}");
    let query = literal("two dogs run");
    let sql = format!("SELECT frame_number FROM captions ORDER BY embedding <=> {query} LIMIT 5");
    assert_eq!(fixture.rows(&sql).len(), 5);
    let sql = "SELECT count(*) FROM captions a JOIN captions b ON a.frame_number = b.frame_number AND a.embedding <-> b.embedding < 0.1 WHERE a.frame_number < 3";
    assert_eq!(fixture.rows(sql), [["3"]]);
}

#[test]
fn the_order_of_a_similarity_is_that_of_the_distance() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..2560);
    fixture.reindex();
    let query = literal("a man rides a bicycle");
    let distances = |fixture: &mut Fixture, order: &str| {
        fixture.rows(&format!(
            "SELECT round(embedding <=> {query}, 4) FROM captions ORDER BY {order} LIMIT 10"
        ))
    };
    let expected = distances(&mut fixture, &format!("(embedding <=> {query}) + 0 * frame_number"));
    for order in [
        format!("1 - (embedding <=> {query}) DESC"),
        format!("1 - (embedding <=> {query}) DESC NULLS LAST"),
        format!("2 * (embedding <=> {query}) + 1"),
        format!("-(embedding <=> {query}) DESC"),
    ] {
        let sql = format!("SELECT caption FROM captions ORDER BY {order} LIMIT 10");
        let plan = fixture.plan(&sql);
        assert!(plan.contains("way=graph"), "{order}: {plan}");
        let found = distances(&mut fixture, &order);
        assert!(recall(&found, &expected) >= 0.9, "{order}: {found:?} {expected:?}");
    }
    let sql = format!("SELECT caption FROM captions ORDER BY 1 - (embedding <=> {query}) LIMIT 10");
    assert!(!fixture.plan(&sql).contains("VectorScan"), "the farthest are no search");
}

/// Rows that lie closer together than `f32` tells apart are in the order of the exact distance, whatever order they
/// were committed in, and whatever their lengths: two are beyond what `f32` has numbers for.
#[test]
fn rows_that_are_hardly_apart_are_in_order() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..2400);
    let text = "two dogs run in the snow";
    let vector = vector_of(text);
    let greatest = vector.iter().fold(0.0_f32, |greatest, element| greatest.max(element.abs()));
    let near = |step: usize| -> Vec<f32> {
        let mut vector = vector.clone();
        vector[7] += 1e-4 * step as f32;
        let scale = match step {
            3 => 3e38 / f64::from(greatest),
            5 => 1e-39 / f64::from(greatest),
            _ => 1.0,
        };
        vector.iter().map(|element| (f64::from(*element) * scale) as f32).collect()
    };
    // 17 and 40 have no common factor, so each step comes once.
    let steps: Vec<usize> = (0..40).map(|row| row * 17 % 40).collect();
    let rows = steps.iter().enumerate().map(|(row, step)| (2400 + row, near(*step)));
    fixture.commit_vectors(2, "yard", rows);
    fixture.reindex();
    let query = literal(text);
    let sql = format!(
        "SELECT frame_number FROM captions WHERE frame_number >= 0 ORDER BY embedding <=> {query} LIMIT 50"
    );
    for sql in [sql.replace("WHERE frame_number >= 0", ""), sql] {
        let plan = fixture.plan(&sql);
        assert!(!plan.contains("way=exact"), "{plan}");
        assert_eq!(plan.contains("sorted=50"), !sql.contains("WHERE"), "{plan}");
        let found: Vec<usize> =
            fixture.rows(&sql).iter().map(|row| row[0].parse().expect("a number")).collect();
        assert_eq!(found.len(), 50);
        let of_row = |row: &usize| match steps.get(row.wrapping_sub(2400)) {
            Some(step) => cosine_distance(&vector, &near(*step)),
            None => cosine_distance(&vector, &vector_of(&fixture.sentences[*row])),
        };
        let distances: Vec<f64> = found.iter().map(of_row).collect();
        assert!(distances.is_sorted(), "{distances:?}");
        assert!(found[..40].iter().all(|row| *row >= 2400), "{found:?}");
    }
}

/// pgvector's known failures: LIMIT 500 that gives fewer rows (716, 841), no rows where few match
/// (719), pages that repeat rows (630).
#[test]
fn the_known_failures_of_others_do_not_happen() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..4340);
    fixture.commit(2, "yard", 4340..4350);
    fixture.reindex();
    let query = literal("a black dog jumps over a log");
    let order = format!("ORDER BY embedding <=> {query}, frame_number");
    for settings in ["SET hnsw.ef_search = 10", "SET hnsw.iterative_scan = off"] {
        fixture.rows(settings);
        let rows = fixture.rows(&format!("SELECT frame_number FROM captions {order} LIMIT 500"));
        assert_eq!(rows.len(), 500);
        let sql =
            format!("SELECT frame_number FROM captions WHERE source = 'yard' {order} LIMIT 500");
        assert_eq!(fixture.rows(&sql).len(), 10);
        let sql = format!(
            "SELECT frame_number FROM captions WHERE frame_number % 2 = 0 {order} LIMIT 500"
        );
        assert_eq!(fixture.rows(&sql).len(), 500);
    }
    // The pages of a list repeat no row, also far beyond ef_search, with a filter and without.
    fixture.rows("RESET hnsw.iterative_scan");
    for (ef_search, filter, pages) in
        [(10, "", 40), (100, "", 40), (10, "WHERE frame_number % 2 = 0", 20), (1000, "", 20)]
    {
        fixture.rows(&format!("SET hnsw.ef_search = {ef_search}"));
        let mut seen = std::collections::BTreeSet::new();
        for page in 0..pages {
            let offset = page * 25;
            let sql = format!(
                "SELECT frame_number FROM captions {filter} {order} LIMIT 25 OFFSET {offset}"
            );
            for row in fixture.rows(&sql) {
                assert!(seen.insert(row.clone()), "ef {ef_search}: page {page} repeats {row:?}");
            }
        }
        assert_eq!(seen.len(), pages * 25, "ef {ef_search} {filter}");
    }
}

/// A still scene has one caption a thousand times: what decides among rows that are equally near
/// is asked of all of them, on every page.
#[test]
fn pages_of_equally_near_rows_are_in_order() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..2400);
    let sentence = fixture.sentences[3].clone();
    for row in 2400..2700 {
        fixture.sentences[row] = sentence.clone();
    }
    fixture.commit(2, "still", 2400..2700);
    fixture.reindex();
    let query = literal(&sentence);
    let mut expected = vec!["3".to_owned()];
    expected.extend((2400..2700).map(|row| row.to_string()));
    let mut found = Vec::new();
    for page in 0..20 {
        let sql = format!(
            "SELECT frame_number FROM captions ORDER BY embedding <=> {query}, frame_number LIMIT 15 OFFSET {}",
            page * 15
        );
        found.extend(fixture.rows(&sql).concat());
    }
    assert_eq!(found, expected[..300]);
}

#[test]
fn recall_does_not_fall_as_rows_are_deleted() {
    let Some(mut fixture) = Fixture::new() else { return };
    for source in 0..8_i64 {
        let first = usize::try_from(source).expect("few") * 256;
        fixture.commit(source + 1, &format!("camera-{source}"), first..first + 256);
    }
    fixture.reindex();
    let queries: Vec<String> =
        (0..20).map(|n| literal(&fixture.sentences[n * 101].clone())).collect();
    // Distances are compared: of sentences that are equally far any may be among the ten.
    let share = |fixture: &mut Fixture| {
        let shares = queries.iter().map(|query| {
            let rows = |fixture: &mut Fixture, order: String| {
                fixture.rows(&format!(
                    "SELECT round(embedding <=> {query}, 4) FROM captions ORDER BY {order} LIMIT 10"
                ))
            };
            let found = rows(fixture, format!("embedding <=> {query}"));
            let expected = rows(fixture, format!("(embedding <=> {query}) + 0 * frame_number"));
            assert_eq!(found.len(), 10);
            recall(&found, &expected)
        });
        shares.sum::<f64>() / queries.len() as f64
    };
    let before = share(&mut fixture);
    // Every second source goes: half of the rows. Without a commit the index is not built again.
    for source in [1, 3, 5, 7] {
        fixture.engine.tables().remove_source(SourceId(source));
    }
    let after = share(&mut fixture);
    assert!(before > 0.95 && after >= before - 0.01, "{before} {after}");
    let gone = fixture.rows("SELECT count(*) FROM captions WHERE source = 'camera-0'");
    assert_eq!(gone, [["0"]]);
}

#[test]
fn bad_limits_texts_and_tables_are_answered() {
    let Some(mut fixture) = Fixture::new() else { return };
    let query = literal("a dog");
    let nearest = |limit: &str| {
        format!("SELECT caption FROM captions ORDER BY embedding <=> {query} LIMIT {limit}")
    };
    for limit in ["0", "1", "1000000"] {
        assert!(fixture.rows(&nearest(limit)).is_empty(), "an empty table, LIMIT {limit}");
    }
    fixture.commit(1, "lobby", 0..600);
    fixture.reindex();
    for (limit, rows) in [("0", 0), ("1", 1), ("600", 600), ("1000000", 600)] {
        assert_eq!(fixture.rows(&nearest(limit)).len(), rows, "LIMIT {limit}");
    }
    assert!(fixture.try_rows(&nearest("-1")).is_err(), "a negative limit");
    let long = "a dog ".repeat(100_000 / 6);
    let dims = fixture.rows(&format!("SELECT vector_dims(embed('{long}'))"));
    assert_eq!(dims, [["384"]]);
    for (call, sqlstate) in [
        ("vector_search('captions', 'a', 0)", "22023"),
        ("vector_search('captions', 'a', -1)", "22023"),
        ("vector_search('captions', 'a', 1000000)", "22023"),
        ("vector_search('frames', 'a')", "22023"),
        ("hybrid_search('embeddings', 'a')", "22023"),
        ("hybrid_search('captions', 'a', 0)", "22023"),
    ] {
        assert_eq!(fixture.refused(&format!("SELECT * FROM {call}")).0, sqlstate, "{call}");
    }
}

#[test]
fn catalogs_have_indexes() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..600);
    fixture.rows(
        "CREATE INDEX CONCURRENTLY lobby ON captions USING hnsw (embedding vector_l2_ops) WHERE source = 'lobby'",
    );
    let sql = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE indexname = 'lobby'";
    let definition = "CREATE INDEX lobby ON public.captions USING hnsw (embedding vector_l2_ops) WITH (m = 16, ef_construction = 200) WHERE source = 'lobby'";
    assert_eq!(fixture.rows(sql), [["captions", "lobby", definition]]);
    let sql = "SELECT c.relname, t.relname, a.amname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid JOIN pg_am a ON a.oid = c.relam WHERE c.relname = 'lobby' AND c.relkind = 'i' AND t.relhasindex";
    assert_eq!(fixture.rows(sql), [["lobby", "captions", "hnsw", definition]]);
    let sql = "SELECT command, phase, tuples_total, tuples_done FROM pg_stat_progress_create_index";
    assert!(fixture.rows(sql).is_empty(), "nothing is being built");
}

#[test]
fn lateral_gives_the_nearest_of_each_row() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..500);
    let sql = "SELECT a.frame_number, near.frame_number, round(near.distance, 4) FROM (SELECT * FROM captions WHERE frame_number < 3) AS a, LATERAL (SELECT b.frame_number, b.embedding <=> a.embedding AS distance FROM captions b WHERE b.frame_number <> a.frame_number ORDER BY b.embedding <=> a.embedding, b.frame_number LIMIT 2) AS near ORDER BY 1, 3, 2";
    let found = fixture.rows(sql);
    assert_nearest_join(&fixture.plan(sql), "searches=3");
    let mut expected = Vec::new();
    for row in 0..3 {
        let query = literal(&fixture.sentences[row].clone());
        expected.extend(fixture.rows(&format!(
            "SELECT {row}, frame_number, round(embedding <=> {query}, 4) FROM captions WHERE frame_number <> {row} ORDER BY embedding <=> {query}, frame_number LIMIT 2"
        )));
    }
    assert_eq!(found, expected);
    let sql = "SELECT count(*) FROM captions a CROSS JOIN LATERAL (SELECT b.frame_number FROM captions b ORDER BY a.embedding <-> b.embedding LIMIT 3 OFFSET 1) AS near WHERE a.frame_number < 10";
    assert_eq!(fixture.rows(sql), [["30"]]);
    assert_nearest_join(&fixture.plan(sql), "searches=10");
}

fn assert_nearest_join(plan: &str, figures: &str) {
    let line = plan.lines().find(|line| line.contains("NearestJoin"));
    let line = line.unwrap_or_else(|| panic!("no search for each row in {plan}"));
    assert!(line.contains(figures), "{line}");
}

#[test]
fn lateral_goes_through_the_index() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..4096);
    fixture.reindex();
    let near = "SELECT b.frame_number, b.embedding <=> a.embedding AS distance FROM captions b WHERE b.frame_number <> a.frame_number ORDER BY b.embedding <=> a.embedding LIMIT 5";
    let sql = format!(
        "SELECT a.frame_number, round(near.distance, 5) FROM (SELECT * FROM captions WHERE frame_number % 256 = 7) AS a, LATERAL ({near}) AS near ORDER BY 1, 2"
    );
    let plan = fixture.plan(&sql);
    assert_nearest_join(&plan, "index=captions_embedding_idx");
    assert_nearest_join(&plan, "through_graph=16");
    let found = fixture.rows(&sql);
    let vectors: Vec<Vec<f32>> = fixture.sentences[..4096].iter().map(|s| vector_of(s)).collect();
    let mut expected = Vec::new();
    for row in (0..4096).filter(|row| row % 256 == 7) {
        let others = (0..4096).filter(|other| *other != row);
        let mut distances: Vec<f64> =
            others.map(|other| cosine_distance(&vectors[row], &vectors[other])).collect();
        distances.sort_by(f64::total_cmp);
        expected.extend(distances[..5].iter().map(|distance| (row, *distance)));
    }
    assert_eq!(found.len(), expected.len());
    let is_right = |(found, (row, distance)): &(&Vec<String>, &(usize, f64))| {
        let found_distance: f64 = found[1].parse().expect("a distance");
        found[0] == row.to_string() && (found_distance - distance).abs() < 1e-4
    };
    let right = found.iter().zip(&expected).filter(is_right).count();
    assert!(right * 100 >= expected.len() * 97, "{right} of {}", expected.len());
}

#[test]
fn hybrid_search_compares_rows_of_its_model_alone() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..300);
    let found = fixture.refused("SELECT * FROM hybrid_search('captions', 'a brown dog', 5)");
    assert_eq!(found.0, "22023", "the rows are of another model: {found:?}");
}
