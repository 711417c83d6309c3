//! `pg_relation_size` and its like: the memory that indexes take. A table's rows are in memory in parts that it
//! shares with queries, and nothing tells how much that is: NULL.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use datafusion::common::internal_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

use super::keys::Index;
use super::relations::Relations;
use crate::SqlError;
use crate::database::DEFAULT_SCHEMA;

/// Those over the indexes that a session may see.
pub(super) fn functions(relations: &Arc<Relations>) -> impl Iterator<Item = ScalarUDF> {
    let all = [
        ("pg_relation_size", Measured::Itself, 1..=2),
        ("pg_table_size", Measured::Itself, 1..=1),
        ("pg_total_relation_size", Measured::Itself, 1..=1),
        ("pg_indexes_size", Measured::Indexes, 1..=1),
    ];
    all.into_iter().map(|(name, measured, arguments)| {
        let signatures = arguments.map(TypeSignature::Any).collect();
        let signature = Signature::one_of(signatures, Volatility::Stable);
        let relations = Arc::clone(relations);
        ScalarUDF::new_from_impl(Size { name, measured, signature, relations })
    })
}

/// What a function tells the size of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Measured {
    /// A table or an index.
    Itself,
    /// All indexes of a table.
    Indexes,
}

#[derive(Debug)]
struct Size {
    name: &'static str,
    measured: Measured,
    signature: Signature,
    relations: Arc<Relations>,
}

impl PartialEq for Size {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.relations, &other.relations)
    }
}

impl Eq for Size {}

impl Hash for Size {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Size {
    /// Bytes of the relation with this OID, or of its indexes; `None` where that is not known.
    fn of(&self, oid: i32, indexes: &[Index]) -> Option<i64> {
        let index = indexes.iter().find(|index| index.oid == oid);
        match (self.measured, index) {
            (Measured::Itself, index) => Some(index?.bytes),
            (Measured::Indexes, Some(_)) => Some(0),
            (Measured::Indexes, None) => {
                self.relations.name_of(oid)?;
                let of_table = |index: &&Index| {
                    self.relations.find(DEFAULT_SCHEMA, index.table.name()) == Some(oid)
                };
                Some(indexes.iter().filter(of_table).map(|index| index.bytes).sum())
            }
        }
    }

    /// The OID that a text means: a number, or the name of a table or an index.
    fn oid(&self, text: &str, indexes: &[Index]) -> Result<i32> {
        if let Ok(oid) = text.trim().parse() {
            return Ok(oid);
        }
        let (schema, name) = text.split_once('.').unwrap_or((DEFAULT_SCHEMA, text));
        let (schema, name) = (schema.trim_matches('"'), name.trim_matches('"'));
        let index = || {
            let mut indexes = indexes.iter().filter(|_| schema == DEFAULT_SCHEMA);
            indexes.find(|index| index.name == name).map(|index| index.oid)
        };
        self.relations.find(schema, name).or_else(index).ok_or_else(|| {
            DataFusionError::External(Box::new(SqlError::Invalid {
                sqlstate: "42P01",
                message: format!("relation \"{text}\" does not exist"),
                hint: None,
                position: None,
            }))
        })
    }
}

impl ScalarUDFImpl for Size {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(relation) = arguments.args.first() else {
            return internal_err!("{} has no argument", self.name);
        };
        let relation = relation.to_array(arguments.number_rows)?;
        let indexes = self.relations.indexes();
        let oids: Vec<Option<i32>> = match relation.as_string_opt::<i32>() {
            Some(names) => {
                let oids = names.iter().map(|name| name.map(|name| self.oid(name, &indexes)));
                oids.map(Option::transpose).collect::<Result<_>>()?
            }
            None => {
                let oids = cast(&relation, &DataType::Int32)?;
                oids.as_primitive::<Int32Type>().iter().collect()
            }
        };
        let sizes = oids.into_iter().map(|oid| self.of(oid?, &indexes));
        Ok(ColumnarValue::Array(Arc::new(sizes.collect::<Int64Array>())))
    }
}
