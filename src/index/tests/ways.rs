//! Which way a search takes, and that each gives the nearest rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionContext;
use vigil_sql::SearchSettings;
use vigil_sql::catalog::StandardTable;

use crate::index::scan::{self, Nulls, Outcome, Request, Target, Ties, Way};
use crate::index::{Indexes, Metric};
use crate::source_id::SourceId;
use crate::tables::{CaptionCommit, CaptionRow, RowContext, Tables};

const TABLE: StandardTable = StandardTable::Captions;
const DIMENSIONS: usize = 384;
/// Many enough for an iterative scan in tests; see `scan::SMALL`.
const ROWS: usize = 3_000;

fn tables(sentences: &[String]) -> Arc<Tables> {
    let tables = Arc::new(Tables::default());
    let context = RowContext {
        source: "lobby".into(),
        detector: None,
        tracker: "none".into(),
        captioner: None,
        embedder: Some("words:1".into()),
        reid: None,
        labels: Arc::from([]),
    };
    tables.add_source(SourceId(1), context);
    let captions = (0..).zip(sentences).take(ROWS).map(|(row, sentence)| CaptionRow {
        frame_number: row,
        ts_micros: row * 40_000,
        caption: Some(sentence.clone()),
        scene: None,
        objects: BTreeMap::new(),
        embedding: Some(Arc::from(vigil_test_data::vector_of_words(sentence, DIMENSIONS))),
    });
    let commit = CaptionCommit { captions: captions.collect(), tick: None };
    tables.commit_captions(SourceId(1), &commit).expect("rows of the schema");
    tables
}

fn condition(text: &str) -> Arc<dyn PhysicalExpr> {
    let schema = DFSchema::try_from(TABLE.schema()).expect("a schema");
    let context = SessionContext::new();
    let expr = context.parse_sql_expr(text, &schema).expect("a condition");
    context.create_physical_expr(expr, &schema).expect("a condition")
}

#[test]
fn each_way_gives_the_nearest_rows_that_match() {
    let Some(sentences) = vigil_test_data::sentences() else { return };
    let tables = tables(&sentences);
    let indexes = Indexes::start(Arc::clone(&tables)).expect("a thread");
    let column = TABLE.schema().index_of("embedding").expect("a column");
    let index = indexes.over(TABLE, column, Metric::Cosine).pop().expect("it is built in");
    let snapshot = tables.snapshot();
    let rows = snapshot.rows(TABLE);
    index.fill(&rows, 1).expect("rows");

    let settings = SearchSettings::default();
    let search = |condition: Option<&Arc<dyn PhysicalExpr>>, query: &str, k, iterative_scan| {
        let request = Request {
            target: Target {
                table: TABLE,
                column,
                metric: Metric::Cosine,
                index: Some(Arc::clone(&index)),
                model: None,
                nulls: Nulls::Last,
            },
            snapshot: Arc::clone(&snapshot),
            query: Some(vigil_test_data::vector_of_words(query, DIMENSIONS)),
            k,
            page: k,
            ties: Ties::Any,
            predicate: condition.cloned(),
            projection: None,
            settings: SearchSettings { iterative_scan, ..settings },
            at_once: false,
        };
        scan::run(&request, &rows, &indexes).expect("an answer")
    };
    let exactly = |passes: &dyn Fn(usize) -> bool, query: &str, k: usize| {
        let query = vigil_test_data::vector_of_words(query, DIMENSIONS);
        let mut all: Vec<(f32, usize)> = (0..rows.rows())
            .filter(|row| passes(*row))
            .filter_map(|row| {
                let vector = rows.vector(column, row)?;
                Some((Metric::Cosine.distance(&query, vector, 1.0), row))
            })
            .collect();
        all.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
        all.into_iter().take(k).map(|(_, row)| row).collect::<Vec<_>>()
    };

    type Passes = fn(usize) -> bool;
    let cases: [(Option<&str>, Passes, usize, bool, Way); 6] = [
        (None, |_| true, 10, true, Way::Graph),
        (Some("frame_number % 10 <> 0"), |row| row % 10 != 0, 10, true, Way::Iterative),
        (Some("frame_number % 10 <> 0"), |row| row % 10 != 0, 200, true, Way::Iterative),
        (Some("frame_number % 10 <> 0"), |row| row % 10 != 0, 10, false, Way::Traversal),
        (Some("frame_number % 10 = 0"), |row| row % 10 == 0, 10, true, Way::Exact),
        (None, |_| true, 1_000, true, Way::Exact),
    ];
    for (text, passes, k, iterative, way) in cases {
        let condition = text.map(condition);
        let (mut hits, mut wanted) = (0, 0);
        for query in sentences.iter().step_by(311).take(10) {
            let Outcome { positions, way: taken, .. } =
                search(condition.as_ref(), query, k, iterative);
            assert_eq!(taken, way, "{text:?} {k}");
            assert!(positions.len() >= k, "{text:?} {k}: {}", positions.len());
            assert!(positions.iter().all(|row| passes(*row)), "{text:?}");
            let nearest = exactly(&passes, query, k);
            wanted += k;
            hits += nearest.iter().filter(|row| positions.contains(row)).count();
        }
        assert!(hits * 100 >= wanted * 97, "{text:?} {k} {way}: {hits} of {wanted}");
    }
}
