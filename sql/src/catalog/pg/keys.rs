//! Keys of the standard tables, which hold by how the engine makes rows, and the indexes over
//! vectors: rows of `pg_class`, `pg_index`, `pg_constraint`, `pg_depend`, `pg_am` and `pg_extension`.
//!
//! PostgreSQL has an index for every primary key, and drivers find the key by it, so there is a row
//! of `pg_index` for each. Rows are found without it.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int32Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{Int32Type, SchemaRef};
use datafusion::error::Result;

use super::extra::{Extra, Values, batch};
use super::owners::OWNER;
use super::relations::Relations;
use crate::IndexInfo;
use crate::catalog::StandardTable;
use crate::database::DEFAULT_SCHEMA;

/// OIDs of what has none in PostgreSQL's own range, far from the library's.
const FIRST_CONSTRAINT: i32 = 1_400_000_000;
const FIRST_KEY_INDEX: i32 = 1_410_000_000;
const FIRST_VECTOR_INDEX: i32 = 1_500_000_000;
const HNSW: i32 = 1_420_000_000;

/// PostgreSQL's OID of `btree`.
const BTREE: i32 = 403;

/// The OIDs of a vector index are a hash of its name below this.
const VECTOR_INDEXES: u32 = 500_000_000;

/// A key of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Constraint {
    pub(super) table: StandardTable,
    pub(super) name: &'static str,
    pub(super) columns: &'static [&'static str],
    /// The table whose primary key a foreign one names.
    pub(super) references: Option<StandardTable>,
}

const FRAME: &[&str] = &["source", "frame_number"];

/// All keys.
pub(super) const CONSTRAINTS: [Constraint; 6] = [
    Constraint {
        table: StandardTable::Frames,
        name: "frames_pkey",
        columns: FRAME,
        references: None,
    },
    Constraint {
        table: StandardTable::Tracks,
        name: "tracks_pkey",
        columns: &["source", "track_id"],
        references: None,
    },
    Constraint {
        table: StandardTable::Captions,
        name: "captions_pkey",
        columns: FRAME,
        references: None,
    },
    Constraint {
        table: StandardTable::Detections,
        name: "detections_frame_fkey",
        columns: FRAME,
        references: Some(StandardTable::Frames),
    },
    Constraint {
        table: StandardTable::Detections,
        name: "detections_track_fkey",
        columns: &["source", "track_id"],
        references: Some(StandardTable::Tracks),
    },
    Constraint {
        table: StandardTable::Captions,
        name: "captions_frame_fkey",
        columns: FRAME,
        references: Some(StandardTable::Frames),
    },
];

impl Constraint {
    /// As `pg_get_constraintdef` writes it.
    pub(super) fn definition(&self) -> String {
        let columns = self.columns.join(", ");
        match self.references {
            None => format!("PRIMARY KEY ({columns})"),
            Some(table) => {
                format!("FOREIGN KEY ({columns}) REFERENCES {table}({})", key_of(table).join(", "))
            }
        }
    }

    fn numbers(&self) -> Vec<i16> {
        numbers(self.table, self.columns)
    }
}

/// The columns of a table's primary key.
fn key_of(table: StandardTable) -> &'static [&'static str] {
    CONSTRAINTS
        .iter()
        .find(|key| key.table == table && key.references.is_none())
        .map_or(&[], |key| key.columns)
}

/// The numbers of columns, from 1.
fn numbers(table: StandardTable, columns: &[&str]) -> Vec<i16> {
    let place =
        |name: &&str| table.columns().iter().position(|column| column.field.name() == *name);
    columns.iter().filter_map(place).filter_map(|at| i16::try_from(at + 1).ok()).collect()
}

/// The key with this OID.
pub(super) fn constraint(oid: i32) -> Option<&'static Constraint> {
    CONSTRAINTS.get(usize::try_from(oid.checked_sub(FIRST_CONSTRAINT)?).ok()?)
}

/// An index as `pg_index` has it.
#[derive(Clone, Debug)]
pub(super) struct Index {
    pub(super) oid: i32,
    pub(super) name: String,
    pub(super) table: StandardTable,
    pub(super) columns: Vec<String>,
    pub(super) is_primary: bool,
    pub(super) definition: String,
    /// The condition of a partial index, in parentheses.
    pub(super) predicate: Option<String>,
    /// Memory. An index of a key takes none.
    pub(super) bytes: i64,
}

/// All indexes: those of keys, and `vectors`, those of the engine.
pub(super) fn indexes(vectors: Vec<IndexInfo>) -> Vec<Index> {
    let keys = CONSTRAINTS.iter().filter(|key| key.references.is_none());
    let keys = keys.zip(FIRST_KEY_INDEX..).map(|(key, oid)| Index {
        oid,
        name: key.name.to_owned(),
        table: key.table,
        columns: key.columns.iter().map(|column| (*column).to_owned()).collect(),
        is_primary: true,
        definition: format!(
            "CREATE UNIQUE INDEX {} ON {DEFAULT_SCHEMA}.{} USING btree ({})",
            key.name,
            key.table,
            key.columns.join(", ")
        ),
        predicate: None,
        bytes: 0,
    });
    let vectors = vectors.into_iter().filter_map(|index| {
        let table = StandardTable::ALL.into_iter().find(|table| table.name() == index.table)?;
        let column = index.definition.split_once('(')?.1.split([' ', ')']).next()?.to_owned();
        let condition = index.definition.split_once(") WHERE ").map(|(_, condition)| condition);
        Some(Index {
            predicate: condition.map(|condition| format!("({condition})")),
            bytes: index.bytes,
            oid: vector_index_oid(&index.name),
            name: index.name,
            table,
            columns: vec![column],
            is_primary: false,
            definition: index.definition,
        })
    });
    keys.chain(vectors).collect()
}

/// The same number for the same name, as long as the name is there and afterwards (FNV-1a).
fn vector_index_oid(name: &str) -> i32 {
    let hash = name
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    FIRST_VECTOR_INDEX + (hash % VECTOR_INDEXES).cast_signed()
}

fn texts<T>(items: &[T], of: impl Fn(&T) -> String) -> Option<Values> {
    Some(Values::Of(Arc::new(StringArray::from_iter_values(items.iter().map(of)))))
}

fn oids<T>(items: &[T], of: impl Fn(&T) -> i32) -> Option<Values> {
    Some(Values::Of(Arc::new(Int32Array::from_iter_values(items.iter().map(of)))))
}

fn truths<T>(items: &[T], of: impl Fn(&T) -> bool) -> Option<Values> {
    let truths: Vec<bool> = items.iter().map(of).collect();
    Some(Values::Of(Arc::new(BooleanArray::from(truths))))
}

/// The indexes in `pg_class`, and which tables have one.
#[derive(Debug)]
pub(super) struct Classes;

impl Extra for Classes {
    fn rows(&self, relations: &Relations, schema: &SchemaRef) -> Result<RecordBatch> {
        let all = relations.indexes();
        batch(schema, all.len(), |name| match name {
            "oid" => oids(&all, |index| index.oid),
            "relname" => texts(&all, |index| index.name.clone()),
            "relnamespace" => oids(&all, |_| relations.public()),
            "relam" => oids(&all, |index| if index.is_primary { BTREE } else { HNSW }),
            "relkind" => texts(&all, |_| "i".into()),
            "relpersistence" => texts(&all, |_| "p".into()),
            "relreplident" => texts(&all, |_| "n".into()),
            "relnatts" => oids(&all, |index| i32::try_from(index.columns.len()).unwrap_or(0)),
            "relispopulated" => truths(&all, |_| true),
            _ => None,
        })
    }

    fn corrected(&self, relations: &Relations, rows: RecordBatch) -> Result<RecordBatch> {
        let schema = rows.schema();
        let (Ok(has_index), Ok(oid)) = (schema.index_of("relhasindex"), schema.index_of("oid"))
        else {
            return Ok(rows);
        };
        let indexed: Vec<Option<i32>> = relations
            .indexes()
            .iter()
            .map(|index| relations.find(DEFAULT_SCHEMA, index.table.name()))
            .collect();
        let oids = cast(rows.column(oid), &arrow::datatypes::DataType::Int32)?;
        let oids = oids.as_primitive::<Int32Type>();
        let truths: BooleanArray =
            (0..oids.len()).map(|row| Some(indexed.contains(&Some(oids.value(row))))).collect();
        let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
        columns[has_index] =
            cast(&(Arc::new(truths) as ArrayRef), schema.field(has_index).data_type())?;
        // PostgreSQL keeps foreign keys by triggers, so psql looks for keys where there are some.
        if let Ok(has_triggers) = schema.index_of("relhastriggers") {
            let tied = CONSTRAINTS.iter().filter_map(|key| Some([key.table, key.references?]));
            let tied: Vec<Option<i32>> =
                tied.flatten().map(|table| relations.find(DEFAULT_SCHEMA, table.name())).collect();
            let truths: BooleanArray =
                (0..oids.len()).map(|row| Some(tied.contains(&Some(oids.value(row))))).collect();
            let truths: ArrayRef = Arc::new(truths);
            columns[has_triggers] = cast(&truths, schema.field(has_triggers).data_type())?;
        }
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

/// The rows of `pg_index`.
#[derive(Debug)]
pub(super) struct Indexes;

impl Extra for Indexes {
    fn rows(&self, relations: &Relations, schema: &SchemaRef) -> Result<RecordBatch> {
        let all = relations.indexes();
        let width = |index: &Index| i32::try_from(index.columns.len()).unwrap_or(0);
        let places = |index: &Index| {
            let columns: Vec<&str> = index.columns.iter().map(String::as_str).collect();
            numbers(index.table, &columns)
        };
        batch(schema, all.len(), |name| match name {
            "indexrelid" => oids(&all, |index| index.oid),
            "indrelid" => oids(&all, |index| {
                relations.find(DEFAULT_SCHEMA, index.table.name()).unwrap_or_default()
            }),
            "indnatts" | "indnkeyatts" => oids(&all, width),
            "indisunique" | "indisprimary" => truths(&all, |index| index.is_primary),
            "indisvalid" | "indisready" | "indislive" | "indimmediate" => truths(&all, |_| true),
            "indisexclusion"
            | "indisclustered"
            | "indcheckxmin"
            | "indisreplident"
            | "indnullsnotdistinct" => truths(&all, |_| false),
            "indkey" => {
                Some(Values::Numbers(all.iter().map(|index| Some(places(index))).collect()))
            }
            "indpred" => {
                let predicates = all.iter().map(|index| index.predicate.as_deref());
                Some(Values::Of(Arc::new(predicates.collect::<StringArray>())))
            }
            "indcollation" | "indclass" | "indoption" => Some(Values::Numbers(
                all.iter().map(|index| Some(vec![0; index.columns.len()])).collect(),
            )),
            _ => None,
        })
    }
}

/// The rows of `pg_constraint`.
#[derive(Debug)]
pub(super) struct Constraints;

impl Extra for Constraints {
    fn rows(&self, relations: &Relations, schema: &SchemaRef) -> Result<RecordBatch> {
        let all: Vec<(i32, &Constraint)> = (FIRST_CONSTRAINT..).zip(&CONSTRAINTS).collect();
        let table =
            |table: StandardTable| relations.find(DEFAULT_SCHEMA, table.name()).unwrap_or_default();
        let index_of = |key: &Constraint| {
            let found = relations.indexes().into_iter().find(|index| index.name == key.name);
            found.map_or(0, |index| index.oid)
        };
        batch(schema, all.len(), |name| match name {
            "oid" => oids(&all, |(oid, _)| *oid),
            "conname" => texts(&all, |(_, key)| key.name.into()),
            "connamespace" => oids(&all, |_| relations.public()),
            "contype" => {
                texts(&all, |(_, key)| if key.references.is_some() { "f" } else { "p" }.into())
            }
            "condeferrable" | "condeferred" => truths(&all, |_| false),
            "convalidated" | "conislocal" | "connoinherit" => truths(&all, |_| true),
            "conrelid" => oids(&all, |(_, key)| table(key.table)),
            "conindid" => oids(&all, |(_, key)| match key.references {
                None => index_of(key),
                Some(referenced) => CONSTRAINTS
                    .iter()
                    .find(|other| other.table == referenced && other.references.is_none())
                    .map_or(0, index_of),
            }),
            "confrelid" => oids(&all, |(_, key)| key.references.map_or(0, table)),
            "confupdtype" => texts(&all, |(_, key)| action(key, "a")),
            "confdeltype" => texts(&all, |(_, key)| action(key, "c")),
            "confmatchtype" => texts(&all, |(_, key)| action(key, "s")),
            "conkey" => {
                Some(Values::Numbers(all.iter().map(|(_, key)| Some(key.numbers())).collect()))
            }
            "confkey" => Some(Values::Numbers(
                all.iter()
                    .map(|(_, key)| key.references.map(|table| numbers(table, key_of(table))))
                    .collect(),
            )),
            _ => None,
        })
    }
}

/// The rows of `pg_depend`: a foreign key needs the index of the key that it names.
#[derive(Debug)]
pub(super) struct Dependencies;

/// PostgreSQL's OIDs of `pg_class` and `pg_constraint`.
const PG_CLASS: i32 = 1259;
const PG_CONSTRAINT: i32 = 2606;

impl Extra for Dependencies {
    fn rows(&self, relations: &Relations, schema: &SchemaRef) -> Result<RecordBatch> {
        let indexes = relations.indexes();
        let all: Vec<(i32, i32)> = (FIRST_CONSTRAINT..)
            .zip(&CONSTRAINTS)
            .filter_map(|(oid, key)| {
                let of_key =
                    |index: &&Index| index.is_primary && Some(index.table) == key.references;
                Some((oid, indexes.iter().find(of_key)?.oid))
            })
            .collect();
        batch(schema, all.len(), |name| match name {
            "classid" => oids(&all, |_| PG_CONSTRAINT),
            "objid" => oids(&all, |(constraint, _)| *constraint),
            "refclassid" => oids(&all, |_| PG_CLASS),
            "refobjid" => oids(&all, |(_, index)| *index),
            "objsubid" | "refobjsubid" => oids(&all, |_| 0),
            "deptype" => texts(&all, |_| "n".into()),
            _ => None,
        })
    }
}

fn action(key: &Constraint, action: &str) -> String {
    if key.references.is_some() { action.into() } else { " ".into() }
}

/// The row of `vector` in `pg_extension`.
#[derive(Debug)]
pub(super) struct Extensions;

const VECTOR_EXTENSION: i32 = 1_430_000_000;
/// The first version of pgvector that has iterative scans, as we have them.
const PGVECTOR_VERSION: &str = "0.8.0";

impl Extra for Extensions {
    fn rows(&self, relations: &Relations, schema: &SchemaRef) -> Result<RecordBatch> {
        let one = [()];
        batch(schema, 1, |name| match name {
            "oid" => oids(&one, |()| VECTOR_EXTENSION),
            "extname" => texts(&one, |()| "vector".into()),
            "extowner" => oids(&one, |()| OWNER),
            "extnamespace" => oids(&one, |()| relations.public()),
            "extrelocatable" => truths(&one, |()| false),
            "extversion" => texts(&one, |()| PGVECTOR_VERSION.into()),
            _ => None,
        })
    }
}

/// The row of `hnsw` in `pg_am`.
#[derive(Debug)]
pub(super) struct AccessMethods;

impl Extra for AccessMethods {
    fn rows(&self, _relations: &Relations, schema: &SchemaRef) -> Result<RecordBatch> {
        let one = [()];
        batch(schema, 1, |name| match name {
            "oid" => oids(&one, |()| HNSW),
            "amname" => texts(&one, |()| "hnsw".into()),
            "amtype" => texts(&one, |()| "i".into()),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_columns_that_are_there() {
        for (oid, key) in (FIRST_CONSTRAINT..).zip(&CONSTRAINTS) {
            assert_eq!(key.numbers().len(), key.columns.len(), "{}", key.name);
            assert_eq!(constraint(oid).map(|found| found.name), Some(key.name));
            if let Some(table) = key.references {
                assert_eq!(key_of(table).len(), key.columns.len(), "{}", key.name);
            }
        }
        assert_eq!(
            CONSTRAINTS[3].definition(),
            "FOREIGN KEY (source, frame_number) REFERENCES frames(source, frame_number)"
        );
    }
}
