//! `pg_cursors` and `pg_prepared_statements`: what the session that asks has.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::execution::session_state::SessionState;
use datafusion::scalar::ScalarValue;

use super::relation::{Column, Relation};
use super::types::list;
use super::value::Value;
use crate::session::objects::Objects;

/// `pg_cursors`.
pub(super) fn cursors(state: &SessionState) -> Relation {
    let columns = vec![
        Column::new("name", DataType::Utf8),
        Column::new("statement", DataType::Utf8),
        Column::new("is_holdable", DataType::Boolean),
        Column::new("is_binary", DataType::Boolean),
        Column::new("is_scrollable", DataType::Boolean),
        Column::new("creation_time", TIME.clone()),
    ];
    let objects = of(state);
    let rows = objects.cursors.iter().map(|cursor| {
        vec![
            Value::text(cursor.name.as_str()),
            Value::Text(Arc::clone(&cursor.statement)),
            Value::Bool(cursor.is_holdable),
            Value::Bool(false),
            Value::Bool(cursor.is_scrollable),
            time(cursor.since),
        ]
    });
    Relation::new(columns, rows.collect())
}

/// The channels that the session listens to.
pub(super) fn channels(state: &SessionState) -> Vec<String> {
    of(state).channels.clone()
}

/// `pg_stat_ssl`: which sessions' clients use TLS.
pub(super) fn encryption(state: &SessionState) -> Relation {
    let columns = vec![
        Column::new("pid", DataType::Int32),
        Column::new("ssl", DataType::Boolean),
        Column::new("version", DataType::Utf8),
        Column::new("cipher", DataType::Utf8),
        Column::new("bits", DataType::Int32),
        Column::new("client_dn", DataType::Utf8),
        Column::new("client_serial", DataType::Float64),
        Column::new("issuer_dn", DataType::Utf8),
    ];
    let objects = of(state);
    let rows = objects.encrypted.iter().map(|(pid, is_encrypted)| {
        let mut row = vec![Value::Null; 8];
        row[0] = Value::Int((*pid).into());
        row[1] = Value::Bool(*is_encrypted);
        row
    });
    Relation::new(columns, rows.collect())
}

/// `pg_prepared_statements`, with the columns of PostgreSQL 16.
pub(super) fn statements(state: &SessionState) -> Relation {
    let columns = vec![
        Column::new("name", DataType::Utf8),
        Column::new("statement", DataType::Utf8),
        Column::new("prepare_time", TIME.clone()),
        Column::new("parameter_types", list(DataType::Utf8)),
        Column::new("result_types", list(DataType::Utf8)),
        Column::new("from_sql", DataType::Boolean),
        Column::new("generic_plans", DataType::Int64),
        Column::new("custom_plans", DataType::Int64),
    ];
    let texts = |texts: &[String]| {
        Value::array(texts.iter().map(|text| Value::text(text.as_str())).collect())
    };
    let objects = of(state);
    let rows = objects.statements.iter().map(|named| {
        vec![
            Value::text(named.name.as_str()),
            Value::Text(Arc::clone(&named.statement)),
            time(named.since),
            texts(&named.parameters),
            named.results.as_deref().map_or(Value::Null, texts),
            Value::Bool(named.is_from_sql),
            Value::Null,
            Value::Null,
        ]
    });
    Relation::new(columns, rows.collect())
}

fn of(state: &SessionState) -> Arc<Objects> {
    state.config().get_extension().unwrap_or_default()
}

static TIME: std::sync::LazyLock<DataType> =
    std::sync::LazyLock::new(|| DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));

fn time(micros: i64) -> Value {
    let time = ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()));
    Value::Other(Box::new(time))
}
