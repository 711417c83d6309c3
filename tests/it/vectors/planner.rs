//! What the planner may conclude from the conditions of a search, and the order of its rows.

use std::collections::BTreeSet;

use super::fixture::{Fixture, literal};

/// A partial index has the rows that fulfil its own condition, not those of another one that reads
/// much the same.
#[test]
fn a_partial_index_is_not_used_for_another_condition() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "cam@1", 0..600);
    fixture.commit(2, "cam@2", 600..1200);
    fixture.rows("DROP INDEX captions_embedding_idx");
    fixture.rows(
        "CREATE INDEX lie ON captions USING hnsw (embedding vector_cosine_ops) WHERE source <> 'cam@1'",
    );
    let sentence = fixture.sentences[5].clone();
    let query = literal(&sentence);
    let nearest = |condition: &str| {
        format!(
            "SELECT frame_number FROM captions WHERE {condition} ORDER BY embedding <=> {query} LIMIT 5"
        )
    };
    let same = nearest("source <> 'cam@1'");
    assert!(fixture.plan(&same).contains("index=lie"), "{}", fixture.plan(&same));
    let other = nearest("source <> 'cam@2'");
    assert!(!fixture.plan(&other).contains("index=lie"), "{}", fixture.plan(&other));
    assert_eq!(fixture.rows(&other)[0], ["5"]);
    // A column is no literal of the same text.
    fixture.rows("DROP INDEX lie");
    fixture.rows(
        "CREATE INDEX lie ON captions USING hnsw (embedding vector_cosine_ops) WHERE source = 'caption'",
    );
    let other = nearest("source = caption");
    assert!(!fixture.plan(&other).contains("index=lie"), "{}", fixture.plan(&other));
}

/// Of several indexes that fit, a partial one is the smallest, and of the others the one that finds most is taken,
/// whatever they are called.
#[test]
fn the_best_of_several_indexes_is_taken() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..200);
    fixture.commit(2, "yard", 200..300);
    let query = literal("a black dog jumps over a log");
    let nearest = |condition: &str| {
        format!(
            "SELECT frame_number FROM captions {condition} ORDER BY embedding <-> {query} LIMIT 5"
        )
    };
    let create = "CREATE INDEX";
    let on = "ON captions USING hnsw (embedding vector_l2_ops)";
    for (name, options, wanted) in [
        ("a_half", "WITH (precision = 'half')", "a_half"),
        ("b_few", "WITH (m = 4, ef_construction = 16)", "b_few"),
        ("c_many", "WITH (m = 24)", "c_many"),
        ("d_int8", "WITH (m = 32, precision = 'int8')", "c_many"),
        ("e_part", "WITH (m = 4) WHERE source = 'yard'", "c_many"),
    ] {
        fixture.rows(&format!("{create} {name} {on} {options}"));
        let plan = fixture.plan(&nearest(""));
        assert!(plan.contains(&format!("index={wanted},")), "{name}: {plan}");
    }
    let plan = fixture.plan(&nearest("WHERE source = 'yard'"));
    assert!(plan.contains("index=e_part,"), "{plan}");
    let plan = fixture.plan(&nearest("WHERE source = 'lobby'"));
    assert!(plan.contains("index=c_many,"), "{plan}");
}

/// A condition with another value each time is asked once: whoever searched by it and filtered
/// again would lose rows twice.
#[test]
fn a_volatile_condition_is_asked_once() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..3000);
    fixture.reindex();
    let query = literal("a black dog jumps over a log");
    let sql = format!(
        "SELECT frame_number FROM captions WHERE random() < 0.5 ORDER BY embedding <=> {query} LIMIT 500"
    );
    assert!(!fixture.plan(&sql).contains("VectorScan"), "{}", fixture.plan(&sql));
    // Of 3,000 rows about 1,500 pass once, 750 twice; 1,250 of them would be nine deviations off.
    let sql = sql.replace("LIMIT 500", "LIMIT 1250");
    assert_eq!(fixture.rows(&sql).len(), 1250);
}

/// The same in a `LATERAL`, where each pair would be asked.
#[test]
fn a_volatile_condition_is_asked_once_of_each_pair() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..400);
    fixture.reindex();
    let pairs = |condition: &str| {
        format!(
            "SELECT a.frame_number, n.frame_number FROM captions a, LATERAL (SELECT b.frame_number \
             FROM captions b WHERE {condition} ORDER BY b.embedding <=> a.embedding LIMIT 5) n \
             WHERE a.frame_number < 4"
        )
    };
    let plan = fixture.plan(&pairs("b.frame_number > 3"));
    assert!(plan.contains("NearestJoin"), "{plan}");
    let plan = fixture.plan(&pairs("random() < 0.5"));
    assert!(!plan.contains("NearestJoin"), "{plan}");
    assert_eq!(fixture.rows(&pairs("random() < 0.5")).len(), 20);
}

/// `LEFT JOIN LATERAL` keeps the rows that have no other, with NULL in every column of the sub-query.
#[test]
fn a_left_join_keeps_rows_that_no_other_is_near_to() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..3072);
    fixture.reindex();
    let pairs = |join: &str, order: &str| {
        format!(
            "SELECT a.frame_number, n.number, n.twice, n.of_left, n.always FROM captions a {join} LATERAL \
             (SELECT b.frame_number AS number, b.frame_number * 2 AS twice, a.frame_number AS of_left, \
             'x' AS always FROM captions b WHERE b.frame_number > a.frame_number * 1500 \
             ORDER BY {order} LIMIT 2) n ON true WHERE a.frame_number < 4 ORDER BY 1, 2"
        )
    };
    // By the index, by all pairs, and by another order than a distance's.
    let near = "b.embedding <=> a.embedding";
    for order in [near, "(b.embedding <=> a.embedding) + 0 * b.frame_number", "b.frame_number"] {
        let left = pairs("LEFT JOIN", order);
        let plan = fixture.plan(&left);
        assert_eq!(plan.contains("NearestJoin"), order == near, "{plan}");
        let mut expected = fixture.rows(&pairs("JOIN", order));
        assert_eq!(expected.len(), 6, "{order}");
        expected.push(["3", "NULL", "NULL", "NULL", "NULL"].map(str::to_owned).to_vec());
        assert_eq!(fixture.rows(&left), expected, "{order}");
    }
    // What is asked of the pairs afterwards may take out what has none.
    let asked = pairs("LEFT JOIN", near).replace("a.frame_number < 4", "n.number IS NULL");
    assert_eq!(fixture.rows(&asked).len(), 3072 - 3);
}

/// A bound on the distance, which names the vectors that the order names.
#[test]
fn a_bound_on_the_distance_of_each_row_is_answered() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..400);
    fixture.reindex();
    let pairs = |bound: &str| {
        format!(
            "SELECT a.frame_number, n.frame_number FROM captions a CROSS JOIN LATERAL (SELECT * \
             FROM captions b WHERE b.embedding <=> a.embedding < {bound} \
             ORDER BY b.embedding <=> a.embedding, b.frame_number LIMIT 2) n \
             WHERE a.frame_number < 3 ORDER BY 1, 2"
        )
    };
    let plan = fixture.plan(&pairs("3"));
    assert!(plan.contains("NearestJoin"), "{plan}");
    // No distance is 3, so the bound takes out nothing.
    let without = pairs("3").replace("WHERE b.embedding <=> a.embedding < 3 ", "");
    let all = fixture.rows(&without);
    assert_eq!(all.len(), 6);
    assert_eq!(fixture.rows(&pairs("3")), all);
    assert!(fixture.rows(&pairs("-1")).is_empty());
}

/// A partial index serves a `LATERAL` whose sub-query asks for its rows, whatever it asks beside.
#[test]
fn a_partial_index_serves_each_row() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..3072);
    fixture.rows("REINDEX INDEX embeddings_caption_idx");
    let pairs = |condition: &str| {
        format!(
            "SELECT a.frame_number, n.frame_number FROM captions a, LATERAL (SELECT b.frame_number \
             FROM embeddings b WHERE {condition} AND b.frame_number <> a.frame_number \
             ORDER BY b.embedding <=> a.embedding LIMIT 3) n WHERE a.frame_number < 5 ORDER BY 1, 2"
        )
    };
    let plan = fixture.plan(&pairs("b.kind = 'caption'"));
    assert!(plan.contains("NearestJoin: index=embeddings_caption_idx"), "{plan}");
    let other = fixture.plan(&pairs("b.kind <> 'appearance'"));
    assert!(other.contains("NearestJoin: index=none"), "{other}");
    let found = fixture.rows(&pairs("b.kind = 'caption'"));
    assert_eq!(found.len(), 15);
    assert_eq!(found, fixture.rows(&pairs("b.kind <> 'appearance'")));
}

/// A sub-query that gives one vector is worked out first, so that the order can be an index's.
#[test]
fn the_vector_may_come_from_a_sub_query() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..3072);
    fixture.reindex();
    let of = |frame: u32| format!("(SELECT embedding FROM captions WHERE frame_number = {frame})");
    let near = |vector: &str| {
        format!(
            "SELECT frame_number, embedding <=> {vector} AS distance FROM captions \
             WHERE frame_number <> 17 ORDER BY embedding <=> {vector} LIMIT 5"
        )
    };
    let plan = fixture.plan(&near(&of(17)));
    assert!(plan.contains("index=captions_embedding_idx"), "{plan}");
    let vector =
        fixture.rows("SELECT embedding FROM captions WHERE frame_number = 17")[0][0].clone();
    assert_eq!(fixture.rows(&near(&of(17))), fixture.rows(&near(&format!("'{vector}'"))));

    // Within a sub-query of a sub-query, as an alias, and as a bound.
    let nested = format!(
        "(SELECT embedding FROM captions WHERE frame_number <> 17 ORDER BY embedding <=> {} LIMIT 1)",
        of(17)
    );
    let nearest = fixture.rows(&near(&of(17)))[0][0].clone();
    let found = fixture.rows(&format!(
        "SELECT frame_number, embedding <=> {nested} AS d FROM captions ORDER BY d LIMIT 1"
    ));
    assert_eq!((found[0][0].as_str(), found[0][1].parse()), (nearest.as_str(), Ok(0.0)));
    let bounded =
        format!("SELECT count(*) FROM captions WHERE embedding <=> {} < 0.000001", of(17));
    assert_eq!(fixture.rows(&bounded)[0], ["1"]);

    // No row is NULL, and NULL is near to nothing; two rows are none.
    let none = format!("SELECT embedding <=> {} FROM captions LIMIT 1", of(99_999));
    assert_eq!(fixture.rows(&none)[0], ["NULL"]);
    let (sqlstate, message) =
        fixture.refused(&near("(SELECT embedding FROM captions WHERE frame_number < 3)"));
    assert_eq!(sqlstate, "21000", "{message}");
}

/// Above a join nobody knows how many of the nearest rows have partners: more and more are tried.
#[test]
fn an_order_above_a_join_goes_through_the_graph() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..3072);
    fixture.reindex();
    let query = literal("a black dog jumps over a log");
    let plain = |condition: &str| {
        format!(
            "SELECT frame_number, embedding <=> {query} FROM captions WHERE {condition} \
             ORDER BY embedding <=> {query} LIMIT 10"
        )
    };
    let joined = |join: &str, condition: &str| {
        format!(
            "SELECT c.frame_number, c.embedding <=> {query} AS distance FROM {join} \
             WHERE {condition} ORDER BY c.embedding <=> {query} LIMIT 10"
        )
    };
    let with_itself =
        "captions c JOIN captions d ON c.source = d.source AND c.frame_number = d.frame_number";
    let other_side =
        "captions d JOIN captions c ON c.source = d.source AND c.frame_number = d.frame_number";
    let optional = "captions c LEFT JOIN captions d ON d.source = c.source AND d.frame_number = c.frame_number + 1";
    for (join, condition, plain_condition, tried) in [
        (with_itself, "true", "true", "1"),
        (other_side, "true", "true", "1"),
        (optional, "true", "true", "1"),
        // The join's keys are equal, so that this is known of the vectors' side, too.
        (with_itself, "d.frame_number % 10 = 0", "frame_number % 10 = 0", "1"),
        // One in ten has a partner, then one in three hundred: 64, 640, all.
        (with_itself, "length(d.caption) % 10 = 0", "length(caption) % 10 = 0", "2"),
        (
            with_itself,
            "d.caption LIKE '%zebra%' OR length(d.caption) % 97 = 5",
            "caption LIKE '%zebra%' OR length(caption) % 97 = 5",
            "3",
        ),
        (with_itself, "c.frame_number > 1000 AND d.caption <> ''", "frame_number > 1000", "1"),
    ] {
        let sql = joined(join, condition);
        let plan = fixture.plan(&sql);
        let has_index = plan.contains("index=captions_embedding_idx");
        assert!(plan.contains("FirstEnough") && has_index, "{condition}:\n{plan}");
        assert!(plan.contains(&format!("tried={tried}")), "{condition}: not {tried}:\n{plan}");
        assert_eq!(fixture.rows(&sql), fixture.rows(&plain(plain_condition)), "{condition}");
    }
    // Fewer rows than are wanted are all that there are.
    let few = joined(with_itself, "d.frame_number < 3");
    assert_eq!(fixture.rows(&few).len(), 3);
    let grouped = format!(
        "SELECT count(*) FROM ({}) nearest JOIN captions e USING (frame_number)",
        joined(with_itself, "true")
    );
    assert_eq!(fixture.rows(&grouped)[0], ["10"]);
    // Where the vectors' rows may be NULLs, or the order has another term, all pairs are sorted.
    let nulls = "captions d LEFT JOIN captions c ON c.frame_number = d.frame_number + 3000";
    let plan = fixture.plan(&joined(nulls, "true"));
    assert!(!plan.contains("FirstEnough"), "{plan}");
    let more = joined(with_itself, "true").replace(" LIMIT", ", d.frame_number LIMIT");
    assert!(!fixture.plan(&more).contains("FirstEnough"));
    assert_eq!(fixture.rows(&more).len(), 10);
}

/// What was never asked for has no figures, and not those of a search that found nothing.
#[test]
fn a_search_that_never_ran_has_no_figures() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..1024);
    fixture.reindex();
    let query = literal("a black dog jumps over a log");
    let joined = |least: i64| {
        format!(
            "SELECT count(*) FROM (SELECT frame_number FROM captions WHERE frame_number < {least}) a JOIN (SELECT frame_number FROM captions ORDER BY embedding <=> {query} LIMIT 10) b USING (frame_number)"
        )
    };
    let (all, none) = (fixture.plan(&joined(5000)), fixture.plan(&joined(0)));
    assert!(all.contains("way=") && all.contains("hops="), "{all}");
    assert!(none.contains("VectorScan") && !none.contains("way="), "{none}");
    assert!(!none.contains("hops="), "{none}");
}

/// The nearest rows are the nearest within a bound, so the graph answers as if there were none.
#[test]
fn a_bound_on_the_distance_goes_through_the_graph() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..3072);
    fixture.reindex();
    let query = literal("a black dog jumps over a log");
    let order = format!("ORDER BY embedding <=> {query} LIMIT 10");
    let unbounded = fixture.rows(&format!("SELECT embedding <=> {query} FROM captions {order}"));
    let third = unbounded[2][0].clone();
    for (bound, count) in [
        (format!("embedding <=> {query} <= {third}"), 3),
        (format!("embedding <=> {query} < {third}"), 2),
        (format!("{third} >= embedding <=> {query}"), 3),
        (format!("embedding <=> {query} < 2"), 10),
        (format!("embedding <=> {query} < -1"), 0),
    ] {
        let sql = format!("SELECT embedding <=> {query} FROM captions WHERE {bound} {order}");
        assert!(fixture.plan(&sql).contains("way=graph"), "{bound}: {}", fixture.plan(&sql));
        assert_eq!(fixture.rows(&sql), unbounded[..count], "{bound}");
    }
    // From below it is a condition as any other: the nearest rows are those that it takes out.
    let sql = format!(
        "SELECT embedding <=> {query} FROM captions WHERE embedding <=> {query} > {third} {order}"
    );
    let found = fixture.rows(&sql);
    assert_eq!((found.len(), &found[0]), (10, &unbounded[3]));
}

/// pgvector's failure 630, where nothing decides among rows that are equally near: each row comes
/// on one page and no row twice.
#[test]
fn pages_of_equally_near_rows_repeat_none() {
    let Some(mut fixture) = Fixture::new() else { return };
    // Four captions, many times each, from two sources.
    for row in 0..3000 {
        fixture.sentences[row] = fixture.sentences[3000 + row % 4].clone();
    }
    fixture.rows("DROP INDEX captions_embedding_idx");
    fixture.commit(1, "many", 0..2000);
    fixture.commit(2, "more", 2000..3000);
    let query = literal(&fixture.sentences[0].clone());
    // Without a graph, and through one that has them all.
    for way in ["at once", "indexed"] {
        if way == "indexed" {
            fixture.rows("CREATE INDEX ON captions USING hnsw (embedding vector_cosine_ops)");
        }
        for (filter, page, pages) in
            [("", 7, 30), ("", 25, 30), ("WHERE source = 'many'", 7, 30), ("", 400, 7)]
        {
            let mut seen = BTreeSet::new();
            for number in 0..pages {
                let sql = format!(
                    "SELECT source, frame_number FROM captions {filter} \
                     ORDER BY embedding <=> {query} LIMIT {page} OFFSET {}",
                    page * number
                );
                let rows = fixture.rows(&sql);
                assert_eq!(rows.len(), page, "{way} {filter} {page}: page {number}");
                for row in rows {
                    assert!(
                        seen.insert(row.clone()),
                        "{way} {filter} {page}: page {number} repeats {row:?}"
                    );
                }
            }
        }
    }
}

/// A prepared search that was short is run again where it is not: more rows are wanted than a walk
/// through the graph is for, or rows have come that are not in the graph.
#[test]
fn a_kept_search_that_is_not_short_after_all_is_answered() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..1024);
    fixture.reindex();
    fixture.rows("PREPARE few AS SELECT frame_number FROM captions ORDER BY embedding <=> $1::vector LIMIT 5");
    fixture.rows("PREPARE many AS SELECT frame_number FROM captions ORDER BY embedding <=> $1::vector LIMIT 500");
    for row in [3, 40, 500, 900] {
        let query = format!("ARRAY{}", literal(&fixture.sentences[row].clone()).replace('\'', ""));
        let nearest = fixture.rows(&format!("EXECUTE few({query})"));
        assert_eq!((nearest.len(), &nearest[0]), (5, &vec![row.to_string()]));
        let nearest = fixture.rows(&format!("EXECUTE many({query})"));
        assert_eq!((nearest.len(), &nearest[0]), (500, &vec![row.to_string()]));
    }
    fixture.commit(2, "yard", 1024..5000);
    for row in [1100, 4999] {
        let query = format!("ARRAY{}", literal(&fixture.sentences[row].clone()).replace('\'', ""));
        let nearest = fixture.rows(&format!("EXECUTE few({query})"));
        assert_eq!((nearest.len(), &nearest[0]), (5, &vec![row.to_string()]));
    }
}

/// From the first page to where the graph reaches no more rows.
#[test]
fn deep_pages_repeat_no_row() {
    const PAGE: usize = 40;
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..2560);
    fixture.reindex();
    let query = literal("two men walk down a street");
    let mut seen = BTreeSet::new();
    for page in 0..2560 / PAGE {
        let offset = page * PAGE;
        let found = fixture.rows(&format!(
            "SELECT frame_number FROM captions ORDER BY embedding <=> {query} LIMIT {PAGE} OFFSET {offset}"
        ));
        for row in found.concat() {
            assert!(seen.insert(row.clone()), "{row} is on page {page} again");
        }
    }
    assert!(seen.len() > 2_000, "{} rows", seen.len());
}

/// A search sorts what it finds by the distance itself, reads only the columns that are wanted, and leaves every other
/// order to the sort above it.
#[test]
fn a_search_sorts_its_rows_itself() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..400);
    fixture.reindex();
    let query = literal("a black dog jumps over a log");
    for (distance, others) in [
        ("embedding <=> $", "0 * frame_number + (embedding <=> $)"),
        ("embedding <-> $", "0 * frame_number + (embedding <-> $)"),
        ("embedding <#> $", "0 * frame_number + (embedding <#> $)"),
        ("$ <+> embedding", "0 * frame_number + (embedding <+> $)"),
    ] {
        let with_query = |text: &str| text.replace('$', &query);
        for (columns, is_sorted) in [
            ("frame_number", true),
            ("caption, frame_number", true),
            ("2 * frame_number AS twice, source", true),
            ("frame_number, round((@)::numeric, 4)", true),
            ("*", true),
            ("frame_number, rank() OVER (ORDER BY frame_number)", false),
        ] {
            let columns = columns.replace('@', distance);
            let sql = |order: &str| {
                with_query(&format!(
                    "SELECT {columns} FROM captions ORDER BY {order} LIMIT 7 OFFSET 2"
                ))
            };
            let plan = fixture.plan(&sql(distance));
            assert_eq!(plan.contains("sorted=9"), is_sorted, "{plan}");
            assert!(!plan.contains("NearestSort"), "{plan}");
            let exactly = fixture.rows(&sql(others));
            assert_eq!(exactly.len(), 7);
            assert_eq!(fixture.rows(&sql(distance)), exactly, "{columns} by {distance}");
        }
    }
    let sql = format!(
        "SELECT frame_number FROM captions ORDER BY embedding <=> {query}, frame_number LIMIT 5"
    );
    let plan = fixture.plan(&sql);
    assert!(plan.contains("NearestSort") && !plan.contains("sorted="), "{plan}");
}
