//! Tables of the catalog that are made here, and columns of the library's that PostgreSQL has otherwise.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use datafusion_postgres::arrow_pg::datatypes::PG_VECTOR_TYPE_OID;

use super::relation::{Column, Relation};
use super::types::{OID, Reg, list};
use super::value::{Value, read_array};
use crate::database::DEFAULT_SCHEMA;
use crate::session::settings::Settings;

/// A column of names of functions with the functions' OIDs, as PostgreSQL has it; 0 for those that `pg_proc` lacks.
pub(super) fn with_oids(
    relation: Relation,
    column: &str,
    procedures: Option<&Relation>,
) -> Relation {
    let place = |relation: &Relation, name: &str| {
        relation.columns.iter().position(|column| column.name.as_ref() == name)
    };
    let Some(procedures) = procedures else { return relation };
    let (Some(at), Some(oid), Some(name)) =
        (place(&relation, column), place(procedures, "oid"), place(procedures, "proname"))
    else {
        return relation;
    };
    let mut oids = BTreeMap::new();
    for row in procedures.rows.iter() {
        if let (Some(name), Some(oid)) = (row[name].written(), row[oid].int()) {
            oids.entry(name).or_insert(oid);
        }
    }
    let columns = relation.columns.clone();
    let rows = relation.into_rows().into_iter().map(|mut row| {
        let name = row[at].written().unwrap_or_default();
        let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
        row[at] = Value::Reg(Reg::Procedure, oids.get(name).copied().unwrap_or_default());
        row
    });
    Relation::new(columns, rows.collect())
}

/// `pg_proc` with arrays where the library's export of PostgreSQL's has their texts.
pub(super) fn with_arrays(relation: Relation) -> Relation {
    let mut columns = relation.columns.clone();
    let mut places = Vec::new();
    for (at, column) in columns.iter_mut().enumerate() {
        column.data_type = match column.name.as_ref() {
            "proargnames" | "proargmodes" => list(DataType::Utf8),
            "proallargtypes" => list(OID),
            _ => continue,
        };
        places.push(at);
    }
    let mut rows = relation.into_rows();
    for row in &mut rows {
        for at in &places {
            let text = row[*at].written().unwrap_or_default();
            row[*at] = read_array(&text.replace('\'', "\"")).map_or(Value::Null, Value::array);
        }
    }
    Relation::new(columns, rows)
}

/// The OID of the first operator of vectors.
const FIRST_OPERATOR: i64 = 1_100_000;

/// `pg_operator` with the distances between vectors, which are in the schema `public`.
pub(super) fn with_operators(relation: Relation, namespaces: Option<&Relation>) -> Relation {
    let place = |relation: &Relation, name: &str| {
        relation.columns.iter().position(|column| column.name.as_ref() == name)
    };
    let public = namespaces.and_then(|namespaces| {
        let (oid, name) = (place(namespaces, "oid")?, place(namespaces, "nspname")?);
        let mut rows = namespaces.rows.iter();
        let found = rows.find(|row| row[name].written().as_deref() == Some(DEFAULT_SCHEMA))?;
        found[oid].int()
    });
    let Some(public) = public else { return relation };
    let vector = Value::Int(i64::from(PG_VECTOR_TYPE_OID));
    let columns = relation.columns.clone();
    let ours: Vec<Vec<Value>> = (FIRST_OPERATOR..)
        .zip(["<->", "<#>", "<=>", "<+>"])
        .map(|(oid, name)| {
            columns
                .iter()
                .map(|column| match column.name.as_ref() {
                    "oid" => Value::Int(oid),
                    "oprname" => Value::text(name),
                    "oprnamespace" => Value::Int(public),
                    "oprowner" => Value::Int(10),
                    "oprkind" => Value::text("b"),
                    "oprcanmerge" | "oprcanhash" => Value::Bool(false),
                    "oprleft" | "oprright" => vector.clone(),
                    // A float8.
                    "oprresult" => Value::Int(701),
                    "oprcom" | "oprnegate" => Value::Int(0),
                    _ => Value::text("-"),
                })
                .collect()
        })
        .collect();
    let mut rows = relation.into_rows();
    rows.extend(ours);
    Relation::new(columns, rows)
}

/// `pg_parameter_acl`: nobody is granted a setting.
pub(super) fn parameter_acl() -> Relation {
    let columns = vec![
        Column::new("oid", OID),
        Column::new("parname", DataType::Utf8),
        Column::new("paracl", list(DataType::Utf8)),
    ];
    Relation::new(columns, Vec::new())
}

/// `pg_settings` as the session has them.
pub(super) fn settings(settings: &Settings) -> Relation {
    let names = [
        "name",
        "setting",
        "unit",
        "category",
        "short_desc",
        "extra_desc",
        "context",
        "vartype",
        "source",
        "min_val",
        "max_val",
        "boot_val",
        "reset_val",
        "sourcefile",
    ];
    let columns = names.map(|name| Column::new(name, DataType::Utf8));
    let defaults: BTreeMap<String, String> =
        Settings::default().show_all().into_iter().map(|(name, value, _)| (name, value)).collect();
    let rows = settings.show_all().into_iter().map(|(name, value, description)| {
        let default = defaults.get(&name);
        let source = if default == Some(&value) { "default" } else { "session" };
        let mut row = vec![Value::Null; names.len()];
        row[0] = Value::text(name);
        row[1] = Value::text(value.as_str());
        row[3] = Value::text("Vigil");
        row[4] = Value::text(description);
        row[6] = Value::text("user");
        row[7] = Value::text("string");
        row[8] = Value::text(source);
        row[11] = default.map_or(Value::Null, |default| Value::text(default.as_str()));
        row[12] = Value::text(default.map_or(value, Clone::clone));
        row
    });
    Relation::new(columns.into(), rows.collect())
}
