//! `vector_search` over rows whose vectors the default embedder made, against distances that are
//! computed here.

use std::collections::BTreeMap;
use std::sync::Arc;

use vigil::SourceId;
use vigil::tables::{CaptionCommit, CaptionRow};
use vigil_sql::Engine as _;

use super::fixture::Fixture;

/// Rows of real sentences.
const ROWS: usize = 200;

/// More arguments of a call, the distance of a row, and how many rows come.
type Case<'a> = (&'a str, &'a dyn Fn(usize) -> f64, usize);

#[test]
fn a_search_has_a_metric_and_a_threshold() {
    if vigil_test_data::model("all-minilm-l6-v2-int8").is_none() {
        return;
    }
    let Some(mut fixture) = Fixture::new() else { return };
    let calls = fixture.engine.model_calls();
    let model = calls.model_id(None).expect("an embedder");
    let texts: Vec<&str> = fixture.sentences[..ROWS].iter().map(String::as_str).collect();
    let mut vectors: Vec<Arc<[f32]>> = Vec::new();
    for some in texts.chunks(50) {
        vectors.extend(calls.embed(None, some).expect("vectors"));
    }
    let query = calls.embed(None, &["a dog runs on the grass"]).expect("a vector").remove(0);
    fixture.add_source(1, "lobby", &model);
    let captions = vectors.iter().enumerate().map(|(row, vector)| CaptionRow {
        frame_number: i64::try_from(row).expect("few rows"),
        ts_micros: 0,
        caption: Some(fixture.sentences[row].clone()),
        scene: None,
        objects: BTreeMap::new(),
        embedding: Some(Arc::clone(vector)),
    });
    let commit = CaptionCommit { captions: captions.collect(), tick: None };
    fixture.engine.tables().commit_captions(SourceId(1), &commit).expect("rows of the schema");

    let pairs = |row: usize| {
        let pairs = vectors[row].iter().zip(query.iter());
        pairs.map(|(left, right)| (f64::from(*left), f64::from(*right)))
    };
    let product = |row: usize| pairs(row).map(|(l, r)| l * r).sum::<f64>();
    let length =
        |vector: &[f32]| vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    let cosine = |row: usize| 1.0 - product(row) / (length(&vectors[row]) * length(&query));
    let euclidean = |row: usize| pairs(row).map(|(l, r)| (l - r) * (l - r)).sum::<f64>().sqrt();
    let manhattan = |row: usize| pairs(row).map(|(l, r)| (l - r).abs()).sum::<f64>();
    let nearest = |distance: &dyn Fn(usize) -> f64, most: usize| {
        let mut rows: Vec<(f64, usize)> = (0..ROWS).map(|row| (distance(row), row)).collect();
        rows.sort_by(|left, right| left.0.total_cmp(&right.0));
        rows.truncate(most);
        rows
    };
    let threshold = 0.35;
    let above = (0..ROWS).filter(|row| 1.0 - cosine(*row) >= threshold).count();
    assert!((1..50).contains(&above), "a threshold that {above} rows pass tells nothing");
    let cases: [Case<'_>; 10] = [
        ("", &cosine, 10),
        (", 25", &cosine, 25),
        (", 3::int", &cosine, 3),
        (", 100, NULL, 'cosine'", &cosine, 100),
        (", 7, NULL, 'euclidean'", &euclidean, 7),
        (", 7, NULL, 'manhattan'", &manhattan, 7),
        (", 50, 0.35", &cosine, above),
        (", similarity_threshold => 0.35, k => 50", &cosine, above),
        (", 7, metric := 'Euclidean'", &euclidean, 7),
        (", 50, 0.999", &cosine, 0),
    ];
    for (arguments, distance, count) in cases {
        let sql = format!(
            "SELECT rank, frame_number, distance FROM vector_search('captions', 'a dog runs on the grass'{arguments}) ORDER BY rank"
        );
        let found = fixture.rows(&sql);
        assert_eq!(found.len(), count, "{sql}");
        for (at, (row, (expected, _))) in found.iter().zip(nearest(distance, count)).enumerate() {
            assert_eq!(row[0], (at + 1).to_string(), "{sql}");
            let (number, shown): (usize, f64) =
                (row[1].parse().expect("a row"), row[2].parse().expect("a distance"));
            assert!((shown - expected).abs() < 1e-4, "{sql}: {row:?} {expected}");
            assert!((distance(number) - shown).abs() < 1e-4, "{sql}: {row:?}");
        }
    }
    fixture.rows(
        "PREPARE search AS SELECT frame_number, distance
         FROM vector_search('captions', $1, $2, $3) WHERE distance < $4 ORDER BY rank",
    );
    let written = |text: &str, count: i64| {
        format!(
            "SELECT frame_number, distance FROM vector_search('captions', {text}, {count}) ORDER BY rank"
        )
    };
    for (text, count) in [("'a dog runs on the grass'", 4), ("'it''s a ball'", 7)] {
        let run = format!("EXECUTE search({text}, {count}, NULL, 3)");
        let expected = fixture.rows(&written(text, count));
        assert_eq!(expected.len(), usize::try_from(count).expect("few"));
        assert_eq!(fixture.rows(&run), expected, "{run}");
    }
    let (sqlstate, _) = fixture.refused("EXECUTE search('a dog', 101, NULL, 3)");
    assert_eq!(sqlstate, "22023");
    let (sqlstate, message) = fixture.refused("EXECUTE search(NULL, 1, NULL, 3)");
    assert!(sqlstate == "22023" && message.contains("needs a text"), "{message}");
    for arguments in [
        ", 5, 1.5",
        ", 5, 'near'",
        ", 5, NULL, 'chebyshev'",
        ", 5, 0.5, 'euclidean'",
        ", 5, 0.5, 'cosine', 1",
        ", 5, 0.5, 'cosine', NULL, 1",
    ] {
        let sql = format!("SELECT * FROM vector_search('captions', 'a dog'{arguments})");
        let (sqlstate, message) = fixture.refused(&sql);
        assert!(["22023", "22P02"].contains(&sqlstate.as_str()), "{sql}: {sqlstate} {message}");
    }
    // Rows of another model are an error, unless one is named.
    let search = |function: &str, arguments: &str| {
        format!(
            "SELECT source, frame_number, distance FROM {function}('captions', 'a dog runs on the grass', 9{arguments}) ORDER BY rank"
        )
    };
    for function in ["vector_search", "hybrid_search"] {
        let alone = fixture.rows(&search(function, ""));
        fixture.commit(2, "yard", ROWS..ROWS + 20);
        let (sqlstate, message) = fixture.refused(&search(function, ""));
        assert_eq!(sqlstate, "22023", "{message}");
        let short = model.split(':').next().unwrap_or_default();
        for model in [&model, short] {
            let sql = search(function, &format!(", model => '{model}'"));
            let found = fixture.rows(&sql);
            if function == "vector_search" {
                assert_eq!(found, alone, "{sql}");
            } else {
                // By their words rows of all models come.
                let is_compared = |row: &Vec<String>| row[0] == "yard" && row[2] != "NULL";
                assert_eq!(found.len(), 9, "{found:?}");
                assert!(!found.iter().any(is_compared), "{found:?}");
            }
        }
        let (sqlstate, message) = fixture.refused(&search(function, ", model => 'nope'"));
        assert!(message.contains("nope"), "{sqlstate} {message}");
        fixture.engine.tables().remove_source(SourceId(2));
    }
}
