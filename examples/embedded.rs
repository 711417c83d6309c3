//! The engine inside a program of your own: no server, no wire.
//!
//! ```text
//! cargo run --example embedded                 # drawn frames with known contents, no models
//! cargo run --example embedded -- lobby.mp4    # a video of yours; needs `make setup`
//! ```
//!
//! It starts an engine, registers a source, looks at the tables while frames arrive, waits for
//! the end and asks two questions.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use vigil::source::SourceDefaults;
use vigil::{Engine, EngineConfig};
use vigil_sql::{Database, Outcome, Session};

fn main() -> Result<()> {
    // An engine keeps the pictures of key frames in a folder (or at an s3:// URL), and finds the
    // files of models in another one.
    let data = tempfile::tempdir()?;
    let engine = Engine::start(EngineConfig {
        data: data.path().display().to_string(),
        models_dir: models_dir(),
        workers: 1,
        inference_threads: std::thread::available_parallelism()?.get(),
        defaults: SourceDefaults::default(),
        base_dir: std::env::current_dir()?,
        places: Default::default(),
    })?;

    // The database puts SQL in front of it. A session is one client's conversation; a program may
    // have as many as it likes.
    let database: Arc<Database> = Database::new(engine)?;
    let mut session = database.session();

    // Queries run on the database's own threads. This runtime only waits for them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(watch(&mut session))
}

async fn watch(session: &mut Session) -> Result<()> {
    // The path of a video, or a load generator: rectangles that bounce about, three to a class.
    let origin = match std::env::args().nth(1) {
        Some(path) => format!("'{}'", path.replace('\'', "''")),
        None => "LOAD GENERATOR MOVING_BOXES (objects = 9, frames = 300)".to_owned(),
    };
    let create =
        format!("CREATE SOURCE camera FROM {origin} WITH (captioner = 'none', embedder = 'none')");
    run(session, &create).await?;

    // CREATE SOURCE returns when the video has been opened. Tables can be read from now on, and a
    // query sees all of them at one moment: never a detection without its frame.
    run(session, "SELECT count(*) AS frames_so_far FROM frames").await?;

    // WAIT returns when every row is there, and fails when the source does.
    run(session, "WAIT FOR SOURCE camera TIMEOUT '20 minutes'").await?;

    // What was seen, and how much of it at once.
    run(
        session,
        "SELECT class_name, count(DISTINCT track_id) AS objects, count(*) AS detections
         FROM detections GROUP BY class_name ORDER BY class_name",
    )
    .await?;

    // A track is one object over time. Here are pairs of them whose last boxes overlap.
    run(
        session,
        "SELECT a.track_id, b.track_id AS other,
                iou(a.x1, a.y1, a.x2, a.y2, b.x1, b.y1, b.x2, b.y2) AS overlap
         FROM tracks a JOIN tracks b ON a.track_id < b.track_id
         WHERE iou(a.x1, a.y1, a.x2, a.y2, b.x1, b.y1, b.x2, b.y2) > 0
         ORDER BY overlap DESC, a.track_id, other LIMIT 5",
    )
    .await
}

/// Runs each statement of `sql` and prints what it answers.
async fn run(session: &mut Session, sql: &str) -> Result<()> {
    for statement in session.parse(sql)? {
        match session.execute(&statement).await? {
            // Rows come as a stream of Arrow batches while the query computes them.
            Outcome::Rows { batches, .. } | Outcome::Copy { batches, .. } => {
                let batches: Vec<RecordBatch> =
                    batches.try_collect().await.with_context(|| sql.to_owned())?;
                show(&pretty_format_batches(&batches)?);
            }
            Outcome::Done { tag, notices } => {
                for notice in notices {
                    show(&notice.message);
                }
                show(&tag);
            }
        }
    }
    Ok(())
}

/// Where `make setup` puts the models, unless `VIGIL_MODELS` says otherwise.
fn models_dir() -> PathBuf {
    std::env::var_os("VIGIL_MODELS").map_or_else(|| ".vigil/models".into(), PathBuf::from)
}

#[expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]
fn show(text: &dyn std::fmt::Display) {
    println!("{text}");
}
