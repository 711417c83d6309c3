//! Types by the names that PostgreSQL has for them, and what they are in Arrow.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::sql::sqlparser::ast;
use datafusion_postgres::arrow_pg::datatypes::{PG_CHAR_KEY, PG_OID_ALIAS_KEY};

use crate::types::{NAMES, VECTOR_KEY};

/// What an OID of a `reg…` type stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reg {
    Class,
    Type,
    Procedure,
    Namespace,
    Role,
}

/// What a value can be cast to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    Text,
    /// The one-byte type `"char"`.
    Char,
    Json,
    Reg(Reg),
    Record,
    Array(Box<Target>),
    Other(DataType),
}

impl Target {
    /// The type that a statement names; `None` for one that the catalog does not use.
    pub(super) fn of(data_type: &ast::DataType) -> Option<Self> {
        let written = data_type.to_string();
        let is_char = written.ends_with("\"char\"");
        let lower = written.to_ascii_lowercase();
        Self::named(lower.trim(), is_char)
    }

    fn named(name: &str, is_char: bool) -> Option<Self> {
        if let Some(item) = name.strip_suffix(']').and_then(|name| name.rsplit_once('[')) {
            return Some(Self::Array(Box::new(Self::named(item.0, is_char)?)));
        }
        let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
        let name = name.strip_prefix("information_schema.").unwrap_or(name);
        let name = name.split('(').next().unwrap_or_default().trim().trim_matches('"');
        Some(match name {
            "bool" | "boolean" => Self::Bool,
            "int2" | "smallint" => Self::Int2,
            "int4" | "int" | "integer" | "cardinal_number" => Self::Int4,
            "int8" | "bigint" | "xid8" => Self::Int8,
            "oid" | "xid" | "cid" => Self::Oid,
            "float4" | "real" => Self::Float4,
            "float8" | "double precision" | "float" | "double" => Self::Float8,
            "numeric" | "decimal" => Self::Numeric,
            "char" if is_char => Self::Char,
            "text" | "varchar" | "character varying" | "name" | "char" | "character" | "bpchar"
            | "cstring" | "regprocedure" | "regoper" | "regoperator" | "aclitem"
            | "sql_identifier" | "character_data" | "yes_or_no" | "uuid" | "inet"
            | "pg_node_tree" | "tid" | "xml" | "unknown" | "anyarray" => Self::Text,
            "json" | "jsonb" => Self::Json,
            "regclass" => Self::Reg(Reg::Class),
            "regtype" => Self::Reg(Reg::Type),
            "regproc" => Self::Reg(Reg::Procedure),
            "regnamespace" => Self::Reg(Reg::Namespace),
            "regrole" => Self::Reg(Reg::Role),
            "int2vector" => Self::Array(Box::new(Self::Int2)),
            "oidvector" => Self::Array(Box::new(Self::Oid)),
            "record" => Self::Record,
            "timestamptz" | "timestamp with time zone" => {
                Self::Other(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
            }
            "timestamp" | "timestamp without time zone" => {
                Self::Other(DataType::Timestamp(TimeUnit::Microsecond, None))
            }
            "date" => Self::Other(DataType::Date32),
            "interval" => Self::Other(super::times::INTERVAL),
            _ => return None,
        })
    }

    /// PostgreSQL's name of it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Oid => "oid",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
            Self::Numeric => "numeric",
            Self::Text => "text",
            Self::Char => "\"char\"",
            Self::Json => "json",
            Self::Reg(Reg::Class) => "regclass",
            Self::Reg(Reg::Type) => "regtype",
            Self::Reg(Reg::Procedure) => "regproc",
            Self::Reg(Reg::Namespace) => "regnamespace",
            Self::Reg(Reg::Role) => "regrole",
            Self::Record => "record",
            Self::Array(_) => "array",
            Self::Other(_) => "timestamp",
        }
    }

    /// What the wire is given.
    pub(super) fn arrow(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Oid => OID,
            Self::Int8 => DataType::Int64,
            Self::Float4 => DataType::Float32,
            Self::Float8 | Self::Numeric => DataType::Float64,
            Self::Text | Self::Char | Self::Json | Self::Reg(_) | Self::Record => DataType::Utf8,
            Self::Array(item) => list(item.arrow()),
            Self::Other(data_type) => data_type.clone(),
        }
    }
}

/// What stands for the type `oid` here. The wire has it as an `Int32` that is marked.
pub(super) const OID: DataType = DataType::UInt32;

/// A list of a type.
pub(super) fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

/// A column of this type as the wire knows it: OIDs are marked, alone and in lists.
pub(super) fn field(name: &str, data_type: &DataType) -> Field {
    let oids = |field: Field| {
        let mark = (PG_OID_ALIAS_KEY.to_owned(), "oid".to_owned());
        field.with_metadata([mark].into_iter().collect())
    };
    match data_type {
        data_type if *data_type == OID => oids(Field::new(name, DataType::Int32, true)),
        DataType::List(item) if *item.data_type() == OID => {
            oids(Field::new(name, list(DataType::Int32), true))
        }
        other => Field::new(name, other.clone(), true),
    }
}

/// A column of an answer that is the catalog's column of this name, with the type that PostgreSQL gives
/// it where drivers go by that: asyncpg wants `pg_type.typtype` as the one-byte type `"char"`, psqlODBC
/// takes `pg_index.indkey` for an `int2vector`, node-postgres leaves an array of names to Sequelize as its text.
pub(super) fn of_catalog(field: Field, name: &str) -> Field {
    let mark = match (name, field.data_type()) {
        ("typtype", DataType::Utf8) => (PG_CHAR_KEY, ""),
        ("indkey" | "indoption", DataType::Utf8) => (VECTOR_KEY, "int2vector"),
        ("indclass" | "indcollation" | "proargtypes", DataType::Utf8) => (VECTOR_KEY, "oidvector"),
        (
            "attname[]" | "relname[]" | "nspname[]" | "conname[]" | "typname[]" | "rolname[]",
            DataType::List(item),
        ) if *item.data_type() == DataType::Utf8 => (VECTOR_KEY, NAMES),
        _ => return field,
    };
    let mut field = field;
    field.metadata_mut().insert(mark.0.to_owned(), mark.1.to_owned());
    field
}

/// The elements' type of a list, or the type itself.
pub(super) fn element(data_type: &DataType) -> DataType {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            item.data_type().clone()
        }
        other => other.clone(),
    }
}
