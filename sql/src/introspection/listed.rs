//! The views of `information_schema` in the catalog, which the library does not list: rows of `pg_namespace`,
//! `pg_class` and `pg_attribute`, so that psql's `\d information_schema.tables` shows one.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::DataType;
use datafusion::execution::session_state::SessionState;
use datafusion::sql::sqlparser::ast::Query;

use super::catalog::{Catalog, INFORMATION_SCHEMA, Names, TableName, Want};
use super::relation::{Column, Relation, Row};
use super::scope::Scope;
use super::value::Value;
use super::{CatalogQuery, End, Engine, Stop, types, views};
use crate::catalog::pg::{INFORMATION_VIEWS, NO_MODIFIER, postgres_type};
use crate::session::settings::Settings;

/// The OID of the schema, before those of its views.
const NAMESPACE: i64 = INFORMATION_VIEWS.start as i64 - 1;

/// PostgreSQL's OID of the role that owns what the system has.
const OWNER: i64 = 10;

/// PostgreSQL's OID of `text`.
const TEXT: i32 = 25;

/// `table` of `pg_catalog` with the views.
pub(super) async fn with_views(
    relation: Arc<Relation>,
    table: &str,
    state: &SessionState,
    settings: &Settings,
    want: Want,
) -> Result<Arc<Relation>, Stop> {
    let rows = match table {
        "pg_namespace" => vec![namespace(&relation.columns)],
        "pg_class" => all().map(|view| class(&relation.columns, &view)).collect(),
        "pg_attribute" if want == Want::Rows => {
            let described = described(state, settings).await?;
            described.iter().map(|column| attribute(&relation.columns, column)).collect()
        }
        _ => return Ok(relation),
    };
    let mut all = relation.rows.as_ref().clone();
    all.extend(rows);
    Ok(Arc::new(Relation::new(relation.columns.clone(), all)))
}

/// A view of the schema.
struct View {
    oid: i64,
    name: &'static str,
    query: &'static Query,
}

fn all() -> impl Iterator<Item = View> {
    let views = views::all().filter(|(schema, ..)| *schema == INFORMATION_SCHEMA);
    let oids = i64::from(INFORMATION_VIEWS.start)..;
    oids.zip(views).map(|(oid, (_, name, query))| View { oid, name, query })
}

/// A column of such a view.
#[derive(Debug)]
struct Described {
    view: i64,
    number: i64,
    name: String,
    type_oid: i32,
}

/// The columns of all of them, which are always the same.
async fn described(state: &SessionState, settings: &Settings) -> Result<Arc<Vec<Described>>, Stop> {
    static KEPT: Mutex<Option<Arc<Vec<Described>>>> = Mutex::new(None);
    if let Some(kept) = KEPT.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        return Ok(Arc::clone(kept));
    }
    let tables: BTreeSet<TableName> =
        all().map(|view| (INFORMATION_SCHEMA.to_owned(), view.name.to_owned())).collect();
    let names = Names::of_tables(tables);
    let catalog = Box::pin(Catalog::load(&names.tables, state, settings, Want::Columns)).await?;
    let mut columns = Vec::new();
    for View { oid, query, .. } in all() {
        let asked = CatalogQuery {
            query: Arc::new(query.clone()),
            names: Arc::default(),
            parameters: Vec::new(),
        };
        let engine = Engine::new(&catalog, state, settings, &[], &asked, End::default());
        let Ok(relation) = engine.dry(|| engine.query(query, &Scope::EMPTY)) else { continue };
        for (number, column) in (1..).zip(&relation.columns) {
            let field = types::field(&column.name, &column.data_type);
            let (type_oid, _) = postgres_type(&field).unwrap_or((TEXT, NO_MODIFIER));
            let name = column.name.to_string();
            columns.push(Described { view: oid, number, name, type_oid });
        }
    }
    let columns = Arc::new(columns);
    *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&columns));
    Ok(columns)
}

/// A row; columns that `value` does not give are 0, false or NULL.
fn row(columns: &[Column], value: impl Fn(&str) -> Option<Value>) -> Row {
    let nothing = |data_type: &DataType| match data_type {
        DataType::Boolean => Value::Bool(false),
        data_type if data_type.is_integer() => Value::Int(0),
        data_type if data_type.is_floating() => Value::Float(0.0),
        _ => Value::Null,
    };
    let values = columns
        .iter()
        .map(|column| value(column.name.as_ref()).unwrap_or_else(|| nothing(&column.data_type)));
    values.collect()
}

fn namespace(columns: &[Column]) -> Row {
    row(columns, |name| match name {
        "oid" => Some(Value::Int(NAMESPACE)),
        "nspname" => Some(Value::text(INFORMATION_SCHEMA)),
        "nspowner" => Some(Value::Int(OWNER)),
        "tableoid" => Some(Value::Int(2615)),
        _ => None,
    })
}

fn class(columns: &[Column], view: &View) -> Row {
    row(columns, |name| {
        Some(match name {
            "oid" => Value::Int(view.oid),
            "relname" => Value::text(view.name),
            "relnamespace" => Value::Int(NAMESPACE),
            "relowner" => Value::Int(OWNER),
            "relkind" => Value::text("v"),
            "relpersistence" => Value::text("p"),
            "relreplident" => Value::text("n"),
            "relhasrules" | "relispopulated" => Value::Bool(true),
            "tableoid" => Value::Int(1259),
            _ => return None,
        })
    })
}

fn attribute(columns: &[Column], column: &Described) -> Row {
    row(columns, |name| {
        Some(match name {
            "attrelid" => Value::Int(column.view),
            "attname" => Value::text(column.name.as_str()),
            "atttypid" => Value::Int(i64::from(column.type_oid)),
            "attnum" => Value::Int(column.number),
            "attlen" | "attcacheoff" | "atttypmod" | "attstattarget" => Value::Int(-1),
            "attidentity" | "attgenerated" | "attcompression" => Value::text(""),
            "attalign" => Value::text("i"),
            "attstorage" => Value::text("x"),
            "attislocal" => Value::Bool(true),
            "tableoid" => Value::Int(1249),
            _ => return None,
        })
    })
}
