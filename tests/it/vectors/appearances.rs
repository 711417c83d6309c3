//! Appearances in `embeddings`: what a track looked like is a row of its own, follows the track when
//! it turns out to be another one, and finds where else something alike was seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, ensure};
use vigil::SourceId;
use vigil::tables::FrameCommit;
use vigil::track::{Correction, KeptAppearance, TrackId};

use super::fixture::{Fixture, vector_of};
use crate::server::vigil;

/// Commits what tracks looked like: a track, a frame, and words in the place of a picture.
fn commit(fixture: &Fixture, source: i64, name: &str, looks: &[(i64, i64, &str)]) {
    fixture.add_source(source, name, "words:1");
    let appearances = looks.iter().map(|(track, frame_number, words)| KeptAppearance {
        frame_number: *frame_number,
        ts_micros: *frame_number * 1_000_000,
        track: TrackId(*track),
        vector: Arc::from(vector_of(words)),
    });
    let commit = FrameCommit { appearances: appearances.collect(), ..FrameCommit::default() };
    fixture.engine.tables().commit_frames(SourceId(source), commit).expect("rows of the schema");
}

fn correct(fixture: &Fixture, source: i64, correction: Correction) {
    let commit = FrameCommit { corrections: vec![correction], ..FrameCommit::default() };
    fixture.engine.tables().commit_frames(SourceId(source), commit).expect("rows of the schema");
}

#[test]
fn appearances_are_rows_that_follow_their_tracks() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..20);
    commit(&fixture, 1, "lobby", &[(1, 0, "red coat"), (2, 1, "blue hat"), (3, 2, "a shadow")]);
    let sql = "SELECT track_id, frame_number, model FROM embeddings WHERE kind = 'appearance' ORDER BY frame_number";
    assert_eq!(
        fixture.rows(sql),
        [["1", "0", "looks:1"], ["2", "1", "looks:1"], ["3", "2", "looks:1"]]
    );
    let (first_frame, last_frame) = (0, 9);
    let (from, into) = (TrackId(2), TrackId(1));
    correct(&fixture, 1, Correction::Merge { from, into, first_frame, last_frame });
    let track = TrackId(3);
    correct(&fixture, 1, Correction::Discard { track, first_frame, last_frame });
    assert_eq!(
        fixture.rows(sql),
        [["1", "0", "looks:1"], ["1", "1", "looks:1"], ["NULL", "2", "looks:1"]]
    );
    let captions = "SELECT count(*) FROM embeddings WHERE kind = 'caption' AND track_id IS NULL";
    assert_eq!(fixture.rows(captions), [["20"]]);
}

#[test]
fn a_track_is_found_where_something_alike_was_seen() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..20);
    let person = "tall man red coat black bag";
    commit(&fixture, 1, "lobby", &[(7, 0, person), (7, 5, "tall man red coat"), (8, 5, "dog")]);
    commit(
        &fixture,
        2,
        "yard",
        &[(1, 3, "small child yellow boots"), (2, 4, "tall man red coat grey bag"), (2, 9, "man")],
    );
    let sql = "SELECT rank, source, track_id, frame_number, round(score, 3) FROM similar_tracks('lobby', 7) ORDER BY rank";
    let found = fixture.rows(sql);
    let places: Vec<_> = found.iter().map(|row| (row[1].as_str(), row[2].as_str())).collect();
    assert_eq!(places.len(), 3, "{found:?}");
    assert_eq!(places[0], ("yard", "2"), "{found:?}");
    assert!(!places.contains(&("lobby", "7")), "it is not similar to itself: {found:?}");
    // The score is the greatest cosine of two appearances, in the frame where it is reached.
    let cosine = |left: &str, right: &str| -> f64 {
        let (left, right) = (vector_of(left), vector_of(right));
        left.iter().zip(&right).map(|(l, r)| f64::from(*l) * f64::from(*r)).sum()
    };
    let other = "tall man red coat grey bag";
    let expected = cosine(person, other).max(cosine("tall man red coat", other));
    let score: f64 = found[0][4].parse().expect("a score");
    assert!((score - expected).abs() < 2e-3, "{score} {expected}");
    assert_eq!(found[0][3], "4");
    let alike = fixture.rows("SELECT count(*) FROM similar_tracks('lobby', 7, 10, 0.6)");
    assert_eq!(alike, [["1"]]);
    assert_eq!(fixture.rows("SELECT count(*) FROM similar_tracks('lobby', 7, 1)"), [["1"]]);
    assert_eq!(fixture.rows("SELECT count(*) FROM similar_tracks('lobby', 99)"), [["0"]]);
    for call in [
        "similar_tracks('lobby')",
        "similar_tracks(7, 'lobby')",
        "similar_tracks('lobby', 7, 0)",
        "similar_tracks('lobby', 7, 10, 2)",
        "similar_tracks('lobby', 7, 10, 0.5, 1)",
    ] {
        assert_eq!(fixture.refused(&format!("SELECT * FROM {call}")).0, "22023", "{call}");
    }
}

#[test]
fn appearances_have_an_index_beside_captions() {
    let Some(mut fixture) = Fixture::new() else { return };
    // Vectors of two lengths in one table: each kind has its own index.
    fixture.commit(1, "lobby", 0..600);
    fixture.add_source(2, "yard", "words:1");
    let looks = (0..3000_i64).map(|frame_number| KeptAppearance {
        frame_number,
        ts_micros: frame_number,
        track: TrackId(frame_number / 10),
        vector: vector_of(&fixture.sentences[usize::try_from(frame_number).expect("few")])[..64]
            .into(),
    });
    let commit = FrameCommit { appearances: looks.collect(), ..FrameCommit::default() };
    fixture.engine.tables().commit_frames(SourceId(2), commit).expect("rows of the schema");
    fixture.rows("REINDEX INDEX embeddings_appearance_idx");
    let query = &vector_of("two dogs")[..64];
    let query = format!("{query:?}");
    let sql = format!(
        "SELECT track_id FROM embeddings WHERE kind = 'appearance' ORDER BY embedding <=> '{query}' LIMIT 10"
    );
    let plan = fixture.plan(&sql);
    assert!(plan.contains("index=embeddings_appearance_idx"), "{plan}");
    assert!(plan.contains("way=traversal"), "{plan}");
    assert_eq!(fixture.rows(&sql).len(), 10);
    let counted = "SELECT kind, count(*), count(DISTINCT embedding) > 500 FROM embeddings GROUP BY 1 ORDER BY 1";
    assert_eq!(fixture.rows(counted), [["appearance", "3000", "true"], ["caption", "600", "true"]]);
    let mixed =
        format!("SELECT frame_number FROM embeddings ORDER BY embedding <=> '{query}' LIMIT 1000");
    assert_eq!(fixture.refused(&mixed).0, "22000");
    let sql =
        "SELECT rows, pending FROM vigil_catalog.indexes WHERE name = 'embeddings_appearance_idx'";
    assert_eq!(fixture.rows(sql), [["2816", "184"]]);
}

/// The same pictures twice, with a tracker that looks at boxes: each track has a row about once a
/// second, and of the other source the track that was made of the same pictures is most like it.
#[test]
fn a_tracker_that_looks_leaves_appearances() -> Result<()> {
    if vigil_test_data::model("osnet-x0.25").is_none() {
        return Ok(());
    }
    let create = |name: &str| {
        format!(
            "CREATE SOURCE {name} FROM LOAD GENERATOR MOVING_BOXES (objects = 3, frames = 100, \
             width = 320, height = 240, seed = 7) WITH (captioner = 'none', tracker = 'deepsort');"
        )
    };
    let alike = |track: i64| {
        format!(
            "SELECT 'alike', {track}, source, track_id, score > 0.999 \
             FROM similar_tracks('first', {track}, 1);"
        )
    };
    let script = [
        create("first"),
        create("second"),
        "WAIT FOR SOURCE first; WAIT FOR SOURCE second;".to_owned(),
        "SELECT 'row', e.track_id, e.frame_number, e.model FROM embeddings e JOIN detections d \
         ON d.source = e.source AND d.frame_number = e.frame_number AND d.track_id = e.track_id \
         WHERE e.source = 'first' AND e.kind = 'appearance' ORDER BY e.track_id, e.frame_number;"
            .to_owned(),
        "SELECT 'all', count(*) FROM embeddings WHERE kind = 'appearance';".to_owned(),
        (1..=3).map(alike).collect(),
    ]
    .concat();
    let home = tempfile::tempdir()?;
    let output = vigil(home.path())
        .args(["sql", "--format", "csv", "--models"])
        .arg(vigil_test_data::models())
        .arg(&script)
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let of = |label: &str| -> Vec<Vec<&str>> {
        let lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        lines.filter(|fields| fields[0] == label).map(|fields| fields[1..].to_vec()).collect()
    };
    let mut frames: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for row in of("row") {
        frames.entry(row[0]).or_default().push(row[1].parse()?);
        ensure!(row[2].starts_with("osnet-x0.25:"), "{text}");
    }
    ensure!(frames.keys().eq(&["1", "2", "3"]), "{text}");
    for frames in frames.values() {
        // Four seconds at 25 frames a second, looked at every ten frames at the latest.
        ensure!((3..=4).contains(&frames.len()) && frames[0] < 10, "{text}");
        ensure!(frames.windows(2).all(|two| (25..=35).contains(&(two[1] - two[0]))), "{text}");
    }
    let rows = of("row").len();
    assert_eq!(of("all"), [[(2 * rows).to_string().as_str()]], "{text}");
    for (track, row) in ["1", "2", "3"].into_iter().zip(of("alike")) {
        ensure!(row[..3] == [track, "second", track] && ["t", "true"].contains(&row[3]), "{text}");
    }
    assert_eq!(of("alike").len(), 3, "{text}");
    Ok(())
}

#[test]
fn a_condition_on_the_kind_keeps_vectors_of_other_lengths_out() {
    let Some(mut fixture) = Fixture::new() else { return };
    fixture.commit(1, "lobby", 0..20);
    let looks = (0..20_i64).map(|frame_number| KeptAppearance {
        frame_number,
        ts_micros: frame_number,
        track: TrackId(1),
        vector: vector_of("tall man")[..64].into(),
    });
    let commit = FrameCommit { appearances: looks.collect(), ..FrameCommit::default() };
    fixture.engine.tables().commit_frames(SourceId(1), commit).expect("rows of the schema");
    let query = &vector_of("tall man")[..64];
    let query = format!("{query:?}");
    for looks in [
        "embeddings WHERE kind = 'appearance'",
        "(SELECT embedding FROM embeddings WHERE kind = 'appearance') AS looks WHERE true",
    ] {
        let sql = format!("SELECT count(*) FROM {looks} AND embedding <=> '{query}' < 0.5");
        assert_eq!(fixture.rows(&sql), [["20"]], "{looks}");
    }
    // The bound is on another distance than the order.
    let other = format!("{:?}", &vector_of("small child")[..64]);
    let near = "kind = 'appearance' AND embedding <=> $1::vector < 0.5";
    let nearest = format!(
        "SELECT frame_number FROM embeddings WHERE {near} ORDER BY embedding <=> $2::vector, 1 LIMIT 3"
    );
    let counted = format!("SELECT count(*) FROM embeddings WHERE {near}");
    let written =
        |sql: &str| sql.replace("$1", &format!("'{query}'")).replace("$2", &format!("'{other}'"));
    assert_eq!(fixture.rows(&written(&nearest)), [["0"], ["1"], ["2"]]);
    fixture.rows(&format!("PREPARE nearest AS {nearest}"));
    fixture.rows(&format!("PREPARE counted AS {counted}"));
    // The second run makes the plan that is kept.
    for _ in 0..4 {
        let found = fixture.rows(&format!("EXECUTE nearest('{query}', '{other}')"));
        assert_eq!(found, [["0"], ["1"], ["2"]]);
        assert_eq!(fixture.rows(&format!("EXECUTE counted('{query}')")), [["20"]]);
        let none = fixture.rows(&format!("EXECUTE nearest('{other}', '{query}')"));
        assert!(none.is_empty(), "{none:?}");
    }
}
