//! `similar_tracks(source, track_id [, k [, similarity_threshold]])`: where else something was seen
//! that looks like a track.

use std::sync::Arc;

use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Column, JoinType};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_aggregate::expr_fn::first_value;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, col, lit};
use vigil_udfs::{Example, FunctionDoc};

use super::arguments::{Arguments, refused, whole};
use super::vector_search::{DEFAULT_ROWS, MAX_ROWS};
use crate::Engine;
use crate::access::VisibleTable;
use crate::catalog::StandardTable;

pub(super) static DOC: FunctionDoc = FunctionDoc {
    name: "similar_tracks",
    section: "Search",
    syntax: &["similar_tracks(source, track_id [, k [, similarity_threshold]]) → rows"],
    description: "The tracks of all sources that look most like one, best first: `source`, `track_id`, `score`, `frame_number` and `ts` of the appearance that is nearest, and `rank` from 1. The score is the greatest cosine similarity of an appearance of the one and an appearance of the other, both of one model: it says that two look alike, never that they are the same. Appearances are rows of `embeddings`; they are kept of sources whose tracker asks for them (`deepsort`, `strongsort`). It is used like a table, in `FROM`. `k` is 10 without it and 100 at most.",
    arguments: &[
        ("source", "the name of a source, a constant text or a parameter"),
        ("track_id", "a track of that source, a constant or a parameter"),
        ("k", "how many tracks, a constant or a parameter from 1 to 100"),
        (
            "similarity_threshold",
            "-1..1, a constant or a parameter, or NULL: tracks with a lower score stay out",
        ),
    ],
    examples: &[Example {
        sql: "SELECT count(*) <= 5 FROM similar_tracks('lobby', 7, 5)",
        result: "t",
    }],
};

const CALL: &str = "Call it as similar_tracks('lobby', 7, 10).";

/// The function over the tables of an engine.
#[derive(Debug)]
pub(super) struct SimilarTracks {
    pub(super) engine: Arc<dyn Engine>,
}

impl SimilarTracks {
    fn appearances(&self) -> Result<LogicalPlanBuilder> {
        let table = StandardTable::Embeddings;
        let visible = VisibleTable::new(table, self.engine.table(table));
        LogicalPlanBuilder::scan(table.name(), provider_as_source(Arc::new(visible)), None)?
            .filter(col("kind").eq(lit("appearance")).and(col("track_id").is_not_null()))
    }

    fn plan(&self, values: &[Expr]) -> Result<LogicalPlan> {
        let arguments = Arguments { function: DOC.name, call: CALL, values };
        arguments.at_most(4)?;
        let source = arguments.needed_text(0, "a source")?;
        let track = arguments
            .constant(1, "the track")?
            .and_then(whole)
            .ok_or_else(|| refused(format!("{}() needs a track", DOC.name), CALL))?;
        let rows = arguments.rows(2, DEFAULT_ROWS, MAX_ROWS)?;
        let threshold = arguments.similarity(3)?;
        let functions = vigil_udfs::functions(self.engine.model_calls());
        let distance = functions
            .iter()
            .find(|function| function.name() == "cosine_distance")
            .ok_or_else(|| DataFusionError::Internal("cosine_distance is not there".to_owned()))?;

        let is_it =
            |source: &str| col("source").eq(lit(source)).and(col("track_id").eq(lit(track)));
        let own = self.appearances()?.filter(is_it(source))?.alias("own")?;
        let others =
            self.appearances()?.filter(Expr::Not(Box::new(is_it(source))))?.alias("other")?;
        let side = |side: &str, name: &str| Expr::Column(Column::new(Some(side), name));
        let by_model = |side: &str| vec![Column::new(Some(side), "model")];
        let score =
            lit(1.0) - distance.call(vec![side("other", "embedding"), side("own", "embedding")]);
        let columns = ["source", "track_id", "frame_number", "ts"];
        let pairs = others
            .join(own.build()?, JoinType::Inner, (by_model("other"), by_model("own")), None)?
            .project(
                columns
                    .map(|name| side("other", name).alias(name))
                    .into_iter()
                    .chain([score.alias("score")]),
            )?
            .filter(col("score").is_not_null())?;
        // The best pair of each track, the earliest of those that are as good. One is kept for each
        // track, however many pairs there are.
        let best_first = || {
            vec![
                col("score").sort(false, false),
                col("ts").sort(true, false),
                col("frame_number").sort(true, false),
            ]
        };
        let best_of =
            |name: &str| first_value(col(name), best_first()).alias(format!("best_{name}"));
        let found = ["score", "frame_number", "ts"];
        let mut best =
            pairs.aggregate(vec![col("source"), col("track_id")], found.map(best_of))?.project(
                ["source", "track_id"]
                    .map(col)
                    .into_iter()
                    .chain(found.map(|name| col(format!("best_{name}")).alias(name))),
            )?;
        if let Some(threshold) = threshold {
            best = best.filter(col("score").gt_eq(lit(threshold)))?;
        }
        let order = || {
            vec![
                col("score").sort(false, false),
                col("source").sort(true, false),
                col("track_id").sort(true, false),
            ]
        };
        let best = best.sort(order())?.limit(0, Some(rows))?;
        let rank = row_number().order_by(order()).build()?.alias("rank");
        let names = ["source", "track_id", "score", "frame_number", "ts", "rank"];
        best.window(vec![rank])?
            .project(names.map(col))?
            .sort(vec![col("rank").sort(true, false)])?
            .build()
    }
}

impl TableFunctionImpl for SimilarTracks {
    fn call_with_args(&self, arguments: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(ViewTable::new(self.plan(arguments.exprs())?, None)))
    }
}
