//! The examples of the reference page, run on a real engine: each does what the page says.

use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use vigil::source::SourceDefaults;
use vigil::{Engine, EngineConfig};
use vigil_sql::{Database, Outcome, Session, SqlError};

/// A database whose statements find `helmets.onnx`, a detector of two classes, where they run, and
/// whose models folder leads to the shared models and takes new ones beside them.
fn database(data: &Path) -> Arc<Database> {
    let tiny = vigil_test_data::top_level().join("models/tests/fixtures/tiny-yolo/model.onnx");
    std::fs::copy(tiny, data.join("helmets.onnx")).expect("the fixture is there");
    let models = data.join("models");
    std::fs::create_dir(&models).expect("a folder");
    for model in std::fs::read_dir(vigil_test_data::models()).into_iter().flatten().flatten() {
        let place = model.path().canonicalize().expect("it was listed");
        std::os::unix::fs::symlink(place, models.join(model.file_name())).expect("a link");
    }
    let engine = Engine::start(EngineConfig {
        data: data.display().to_string(),
        models_dir: models,
        workers: 1,
        inference_threads: 1,
        defaults: SourceDefaults::default(),
        base_dir: data.to_owned(),
        places: Default::default(),
    });
    Database::new(engine.expect("an engine")).expect("a database")
}

/// Runs every statement; the rows of the last one that has some.
async fn rows(session: &mut Session, sql: &str) -> Result<Vec<Vec<Option<String>>>, SqlError> {
    let mut rows = Vec::new();
    for statement in session.parse(sql)? {
        if let Outcome::Rows { schema, batches, .. } = session.execute(&statement).await? {
            let batches: Vec<_> = batches.try_collect().await?;
            rows = vigil::cli::text_rows(&schema, &batches).expect("text");
        }
    }
    Ok(rows)
}

/// The sources that examples speak of.
const SOURCES: &str = "
    CREATE SOURCE lobby FROM LOAD GENERATOR MOVING_BOXES (objects = 3, frames = 10)
        WITH (captioner = 'none', embedder = 'none');
    WAIT FOR SOURCE lobby;";

#[test]
fn functions_answer_what_the_reference_says() {
    let data = tempfile::tempdir().expect("a folder");
    let database = database(data.path());
    let has_models = vigil_test_data::models().join("all-minilm-l6-v2-int8").is_dir();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut session = database.session();
        rows(&mut session, SOURCES).await.expect("the sources");
        let of_udfs = vigil_udfs::all().into_iter().map(|function| function.doc);
        for doc in of_udfs.chain(vigil_sql::function_docs()) {
            if doc.section == "Models" && !has_models {
                println!(
                    "skipped {}: no models at {}",
                    doc.name,
                    vigil_test_data::models().display()
                );
                continue;
            }
            for example in doc.examples {
                let found = rows(&mut session, example.sql).await;
                let found = found.unwrap_or_else(|error| panic!("{}: {error}", example.sql));
                let expected = Some(example.result).filter(|result| !result.is_empty());
                assert_eq!(found, [[expected.map(str::to_owned)]], "{}", example.sql);
            }
        }
    });
}

#[test]
fn statements_run_as_the_reference_shows_them() {
    for doc in vigil_sql::statement_docs() {
        let data = tempfile::tempdir().expect("a folder");
        let database = database(data.path());
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let outcome = rows(&mut database.session(), doc.example).await;
            // An example may need a model that this machine does not have; anything else is wrong.
            if let Err(error) = outcome {
                let missing =
                    error.sqlstate() == "58P01" && vigil_test_data::folder("models").is_none();
                assert!(missing, "{}: {error}", doc.example);
                println!(
                    "skipped {}: no models at {}",
                    doc.name,
                    vigil_test_data::models().display()
                );
            }
        });
    }
}
