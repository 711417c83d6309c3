//! `embed`: folded when constant, batched and deduplicated when not, its errors unchanged.

use arrow::util::pretty::pretty_format_batches;
use datafusion::error::DataFusionError;
use vigil_models::ModelError;

use super::{CountingModel, query, refusal, session_with, shown, value};

#[tokio::test]
async fn a_constant_text_is_embedded_once_and_in_planning() {
    let models = CountingModel::new(4);
    let session = session_with(models.clone());
    query(&session, "CREATE TABLE t AS SELECT '[1,2,1,1]'::vector(4) AS v").await.expect("table");
    let sql = "EXPLAIN SELECT v <=> embed('a dog') FROM t \
               ORDER BY v <=> embed('a dog') LIMIT 5";
    let batches = query(&session, sql).await.expect(sql);
    let plan = pretty_format_batches(&batches).expect("plan").to_string();
    assert!(plan.contains("5.0, 2.0, 1.0, 1.0"), "{plan}");
    let (_, physical) = plan.split_once("physical_plan").expect("a physical plan");
    assert!(!physical.contains("(v@0, embed("), "{plan}");
    // Both mentions are folded, each once; nothing is left for the rows.
    let calls = models.calls().len();
    assert!((1..=2).contains(&calls), "{calls} calls");
    query(&session, "SELECT v <=> embed('a dog') FROM t, generate_series(1, 100)")
        .await
        .expect("query");
    assert_eq!(models.calls().len(), calls + 1);
}

#[tokio::test]
async fn a_column_is_embedded_in_batches_of_different_texts() {
    let models = CountingModel::new(4);
    let session = session_with(models.clone());
    let sql = "SELECT embed(CASE WHEN n % 10 = 0 THEN NULL ELSE 'text ' || n % 300 END) \
               FROM generate_series(1, 1000) AS t (n)";
    let batches = query(&session, sql).await.expect(sql);
    let rows: Vec<String> = batches
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).map(|row| shown(batch.column(0), row)))
        .collect();
    assert_eq!(rows.len(), 1000);
    assert_eq!(rows.iter().filter(|row| row.is_empty()).count(), 100);
    assert_eq!(rows[0], "[6,2,1,1]");
    let calls: Vec<usize> = models.calls().iter().map(Vec::len).collect();
    assert_eq!(calls, [256, 14], "270 different texts");
}

#[tokio::test]
async fn the_model_may_be_named() {
    let session = session_with(CountingModel::new(4));
    let sql = "SELECT embed('a', 'counting') <-> embed('a'), embed(NULL, 'counting'), \
               embed('a', NULL)";
    let batches = query(&session, sql).await.expect(sql);
    let row: Vec<String> = batches[0].columns().iter().map(|column| shown(column, 0)).collect();
    assert_eq!(row, ["0", "", ""]);
}

#[tokio::test]
async fn errors_keep_their_sqlstate() {
    let session = session_with(CountingModel::new(4));
    let error = query(&session, "SELECT embed('a', 'countin')").await.expect_err("unknown model");
    let DataFusionError::External(error) = error.find_root() else { panic!("{error}") };
    let error: &ModelError = error.downcast_ref().expect("a model's error");
    assert_eq!(error.sqlstate(), "42704");
    assert_eq!(error.to_string(), "model \"countin\" does not exist");

    let (message, sqlstate) = refusal("SELECT embed(1)").await;
    assert_eq!((message.as_str(), sqlstate), ("function embed(bigint) does not exist", "42883"));
    let sql = "SELECT embed('a', m) FROM (VALUES ('counting'), ('other')) AS t (m)";
    let (message, sqlstate) = refusal(sql).await;
    assert_eq!((message.as_str(), sqlstate), ("the model of embed() must be a constant", "0A000"));
}

#[tokio::test]
async fn texts_that_two_models_embed_are_not_compared() {
    for operator in ["<=>", "<->", "<#>", "<+>"] {
        let sql = format!("SELECT embed('a') {operator} embed('a', 'other')");
        let (message, sqlstate) = refusal(&sql).await;
        let expected = "different vector models counting:1 and other:1";
        assert_eq!((message.as_str(), sqlstate), (expected, "22023"), "{sql}");
    }
    let same =
        value("SELECT embed('a', 'other') <-> embed('a', 'other')").await.expect("one model");
    assert_eq!(same, "0");
}
