//! Errors of DataFusion and Arrow as clients meet them.

use datafusion::common::plan_datafusion_err;

use super::*;

fn seen(error: DataFusionError) -> (&'static str, String) {
    let error = SqlError::from(error);
    (error.sqlstate(), error.to_string())
}

#[test]
fn an_error_of_ours_comes_out_as_it_went_in() {
    let engine = EngineError {
        sqlstate: "58P01",
        message: "no such file".into(),
        detail: None,
        hint: Some("Look again.".into()),
    };
    let carried = DataFusionError::External(Box::new(engine)).context("while scanning");
    let error = SqlError::from(carried);
    assert_eq!(error.sqlstate(), "58P01");
    assert_eq!(error.to_string(), "no such file");
    assert_eq!(error.hint().as_deref(), Some("Look again."));

    let model = ModelError::Stopping;
    let arrow = ArrowError::ExternalError(Box::new(model));
    assert_eq!(seen(DataFusionError::from(arrow)).0, "57P01");

    let function = UdfError::NoDimensions { kind: vigil_udfs::VectorKind::Vector };
    let shared = DataFusionError::Shared(std::sync::Arc::new(function.into()));
    assert_eq!(seen(shared), ("22000", "vector must have at least 1 dimension".to_owned()));
}

#[test]
fn a_missing_relation_is_named_without_the_default_schema() {
    let error = plan_datafusion_err!("table 'vigil.public.nowhere' not found");
    assert_eq!(seen(error), ("42P01", "relation \"nowhere\" does not exist".to_owned()));
    let error = plan_datafusion_err!("table 'vigil.other.nowhere' not found");
    assert_eq!(seen(error), ("42P01", "relation \"other.nowhere\" does not exist".to_owned()));
}

#[test]
fn division_by_zero_is_postgresqls() {
    let error = DataFusionError::from(ArrowError::DivideByZero);
    assert_eq!(seen(error), ("22012", "division by zero".to_owned()));
}

#[test]
fn a_message_is_one_line_without_prefix_in_lower_case() {
    let error = DataFusionError::Internal("Something broke.\nThis is a bug".into());
    let error = SqlError::from(error);
    assert_eq!(error.sqlstate(), "XX000");
    assert_eq!(error.to_string(), "something broke");
    assert!(error.detail().is_some());
}
