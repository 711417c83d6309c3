//! What an index is: `CREATE INDEX` goes in, a checked definition comes out.

use std::fmt;

use arrow::datatypes::DataType;
use vigil_sql::catalog::StandardTable;
use vigil_sql::{CreateIndex, EngineError, quote_identifier};

use super::codes::Precision;
use super::kernel::Metric;

/// Why an index cannot be made or found; PostgreSQL's and pgvector's words where they have it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// The name is taken.
    #[error("relation \"{0}\" already exists")]
    Exists(String),
    /// No index has the name.
    #[error("index \"{0}\" does not exist")]
    NotFound(String),
    /// No table has the name.
    #[error("relation \"{0}\" does not exist")]
    UnknownTable(String),
    /// No column has the name.
    #[error("column \"{0}\" does not exist")]
    UnknownColumn(String),
    /// An operator class that is none.
    #[error("operator class \"{0}\" does not exist for access method \"hnsw\"")]
    UnknownClass(String),
    /// An operator class on a column of another type.
    #[error("operator class \"{class}\" does not accept data type {data_type}")]
    WrongType {
        /// The operator class.
        class: String,
        /// The column's type.
        data_type: &'static str,
    },
    /// A cast to vectors of another length than the column's.
    #[error("expected {expected} dimensions, not {found}")]
    OtherDimensions {
        /// The `n` of the cast.
        expected: i32,
        /// The column's.
        found: i32,
    },
    /// No operator class was written.
    #[error("data type {0} has no default operator class for access method \"hnsw\"")]
    NoClass(&'static str),
    /// An option that is none.
    #[error("unrecognized parameter \"{0}\"")]
    UnknownOption(String),
    /// A value that is no number.
    #[error("invalid value for integer option \"{name}\": {value}")]
    NoNumber {
        /// The option.
        name: String,
        /// The value as written.
        value: String,
    },
    /// A number out of its range.
    #[error("value {value} out of bounds for option \"{name}\"")]
    OutOfBounds {
        /// The option.
        name: String,
        /// The value as written.
        value: String,
        /// The least and the greatest value.
        bounds: (usize, usize),
    },
    /// Too few candidates for so many edges.
    #[error("ef_construction must be greater than or equal to 2 * m")]
    FewCandidates,
    /// A precision that is none.
    #[error("invalid value for parameter \"precision\": \"{0}\"")]
    UnknownPrecision(String),
    /// A condition that is none.
    #[error("{0}")]
    Predicate(String),
    /// A condition of another type than `boolean`.
    #[error("argument of WHERE must be type boolean, not type {0}")]
    PredicateType(&'static str),
    /// A condition that may give another value for the same row.
    #[error("functions in index predicate must be marked IMMUTABLE")]
    PredicateChanges,
    /// An aggregate in a condition.
    #[error("aggregate functions are not allowed in index predicates")]
    PredicateAggregate,
    /// A window function in a condition.
    #[error("window functions are not allowed in index predicates")]
    PredicateWindow,
    /// A query in a condition.
    #[error("cannot use subquery in index predicate")]
    PredicateQuery,
    /// A condition with a function that the engine does not have.
    #[error("function {0} is not known in index predicates")]
    PredicateFunction(String),
    /// Vectors of several lengths.
    #[error("column does not have dimensions")]
    NoDimensions,
    /// A row for which the condition cannot be computed.
    #[error("{message}")]
    Rows {
        /// The SQLSTATE of what went wrong.
        sqlstate: &'static str,
        /// What went wrong.
        message: String,
    },
}

impl IndexError {
    /// The SQLSTATE of PostgreSQL's appendix A, pgvector's own choice where it has the error.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Exists(_) => "42P07",
            Self::NotFound(_) | Self::UnknownClass(_) | Self::NoClass(_) => "42704",
            Self::UnknownTable(_) => "42P01",
            Self::UnknownColumn(_) => "42703",
            Self::WrongType { .. } | Self::PredicateType(_) => "42804",
            Self::OtherDimensions { .. } => "22000",
            Self::UnknownOption(_)
            | Self::NoNumber { .. }
            | Self::OutOfBounds { .. }
            | Self::FewCandidates
            | Self::NoDimensions
            | Self::UnknownPrecision(_) => "22023",
            Self::Predicate(_) | Self::PredicateChanges => "42P17",
            Self::PredicateAggregate => "42803",
            Self::PredicateWindow => "42P20",
            Self::PredicateQuery => "0A000",
            Self::PredicateFunction(_) => "42883",
            Self::Rows { sqlstate, .. } => sqlstate,
        }
    }
}

impl From<IndexError> for EngineError {
    fn from(error: IndexError) -> Self {
        let detail = match &error {
            IndexError::OutOfBounds { bounds: (low, high), .. } => {
                Some(format!("Valid values are between \"{low}\" and \"{high}\"."))
            }
            _ => None,
        };
        let hint = match &error {
            IndexError::NoClass(_) => Some(
                "You must specify an operator class for the index or define a default operator class for the data type."
                    .to_owned(),
            ),
            IndexError::UnknownClass(_) => Some(
                "The operator classes are vector_cosine_ops, vector_l2_ops, vector_ip_ops and vector_l1_ops."
                    .to_owned(),
            ),
            IndexError::WrongType { class, .. } if class.starts_with("halfvec_") => Some(
                "Write the cast, as in ((embedding::halfvec(384)) halfvec_cosine_ops).".to_owned(),
            ),
            IndexError::NoDimensions => Some(
                "Choose vectors of one length, as with WHERE kind = 'caption'.".to_owned(),
            ),
            IndexError::UnknownPrecision(_) => {
                Some("Available values: full, half, int8.".to_owned())
            }
            _ => None,
        };
        Self { sqlstate: error.sqlstate(), message: error.to_string(), detail, hint }
    }
}

/// An index, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// The table.
    pub table: StandardTable,
    /// The column's place in the table.
    pub column: usize,
    /// How far two vectors are apart.
    pub metric: Metric,
    /// The n of an index over `column::halfvec(n)`.
    pub halfvec: Option<i32>,
    /// The precision that the graph keeps.
    pub precision: Precision,
    /// Edges of a node.
    pub m: usize,
    /// Candidates while the graph is built.
    pub ef_construction: usize,
    /// The condition that a row must fulfil, as written.
    pub predicate: Option<String>,
}

impl Definition {
    /// The indexes that tables with vectors have from the start. A table whose rows are of several
    /// kinds has one for each of them, as their vectors differ in length and do not compare.
    pub fn built_in() -> Vec<Self> {
        let captions = StandardTable::Captions;
        let embeddings = StandardTable::Embeddings;
        let kind = |kind: &str| Some(format!("kind = '{kind}'"));
        let built_in = [
            ("captions_embedding_idx", captions, None),
            ("embeddings_caption_idx", embeddings, kind("caption")),
            ("embeddings_appearance_idx", embeddings, kind("appearance")),
        ];
        let definition = |(name, table, predicate): (&str, StandardTable, Option<String>)| {
            Some(Self {
                name: name.to_owned(),
                table,
                column: table.schema().index_of("embedding").ok()?,
                metric: Metric::Cosine,
                halfvec: None,
                precision: Precision::Full,
                m: 16,
                ef_construction: 200,
                predicate,
            })
        };
        built_in.into_iter().filter_map(definition).collect()
    }

    /// Checks a statement; `name` is the one that it gets.
    ///
    /// # Errors
    /// [`IndexError`], in PostgreSQL's order: table, column, operator class, options.
    pub fn check(create: &CreateIndex, name: String) -> Result<Self, IndexError> {
        let table = StandardTable::ALL
            .into_iter()
            .find(|table| table.name() == create.table)
            .ok_or_else(|| IndexError::UnknownTable(create.table.clone()))?;
        let schema = table.schema();
        let column = schema
            .index_of(&create.column)
            .map_err(|_| IndexError::UnknownColumn(create.column.clone()))?;
        let data_type = match (type_name(schema.field(column).data_type()), create.halfvec) {
            ("vector", Some(_)) => "halfvec",
            (data_type, _) => data_type,
        };
        if let (DataType::FixedSizeList(_, found), Some(expected)) =
            (schema.field(column).data_type(), create.halfvec)
            && *found != expected
        {
            return Err(IndexError::OtherDimensions { expected, found: *found });
        }
        // As nothing tells which of its rows an index could have, no search would use it.
        let has_dimensions = create.halfvec.is_some()
            || matches!(schema.field(column).data_type(), DataType::FixedSizeList(..));
        let class = create.operator_class.as_deref().ok_or(IndexError::NoClass(data_type))?;
        let wrong_type = || IndexError::WrongType { class: class.to_owned(), data_type };
        // Those of pgvector's other types are known; no column has such a type.
        let is_of_other_type =
            ["sparsevec_", "bit_"].iter().any(|prefix| class.starts_with(prefix));
        if is_of_other_type && class.ends_with("_ops") {
            return Err(wrong_type());
        }
        let (of_type, metric) =
            metric_of(class).ok_or_else(|| IndexError::UnknownClass(class.to_owned()))?;
        if of_type != data_type {
            return Err(wrong_type());
        }
        if !has_dimensions && create.predicate.is_none() {
            return Err(IndexError::NoDimensions);
        }
        let mut definition = Self {
            name,
            table,
            column,
            metric,
            halfvec: create.halfvec,
            precision: if create.halfvec.is_some() { Precision::Half } else { Precision::Full },
            m: 16,
            ef_construction: 200,
            predicate: create.predicate.clone(),
        };
        for (name, value) in &create.options {
            match name.as_str() {
                "m" => definition.m = number(name, value, (2, 100))?,
                "ef_construction" => definition.ef_construction = number(name, value, (4, 1000))?,
                "precision" => {
                    definition.precision = match value.to_ascii_lowercase().as_str() {
                        "full" => Precision::Full,
                        "half" => Precision::Half,
                        "int8" => Precision::Int8,
                        _ => return Err(IndexError::UnknownPrecision(value.clone())),
                    };
                }
                _ => return Err(IndexError::UnknownOption(name.clone())),
            }
        }
        if definition.ef_construction < 2 * definition.m {
            return Err(IndexError::FewCandidates);
        }
        Ok(definition)
    }
}

impl fmt::Display for Definition {
    /// The statement that makes it again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metric = match self.metric {
            Metric::Cosine => "cosine",
            Metric::L2 => "l2",
            Metric::InnerProduct => "ip",
            Metric::L1 => "l1",
        };
        let schema = self.table.schema();
        let column = schema.field(self.column).name();
        let operand = match self.halfvec {
            Some(dimensions) => {
                format!("((({column})::halfvec({dimensions})) halfvec_{metric}_ops)")
            }
            None => format!("({column} vector_{metric}_ops)"),
        };
        let precision = match self.precision {
            Precision::Full => "",
            Precision::Half if self.halfvec.is_some() => "",
            Precision::Half => ", precision = 'half'",
            Precision::Int8 => ", precision = 'int8'",
        };
        write!(
            f,
            "CREATE INDEX {} ON public.{} USING hnsw {operand} WITH (m = {}, ef_construction = {}{precision})",
            quote_identifier(&self.name),
            self.table,
            self.m,
            self.ef_construction,
        )?;
        match &self.predicate {
            Some(predicate) => write!(f, " WHERE {predicate}"),
            None => Ok(()),
        }
    }
}

/// The type and the metric of an operator class.
fn metric_of(class: &str) -> Option<(&'static str, Metric)> {
    let (data_type, metric) = class.strip_suffix("_ops")?.split_once('_')?;
    let data_type = ["vector", "halfvec"].into_iter().find(|name| *name == data_type)?;
    let metric = match metric {
        "cosine" => Metric::Cosine,
        "l2" => Metric::L2,
        "ip" => Metric::InnerProduct,
        "l1" => Metric::L1,
        _ => return None,
    };
    Some((data_type, metric))
}

fn number(name: &str, value: &str, bounds: (usize, usize)) -> Result<usize, IndexError> {
    let number: i64 = value
        .parse()
        .map_err(|_| IndexError::NoNumber { name: name.to_owned(), value: value.to_owned() })?;
    usize::try_from(number).ok().filter(|number| (bounds.0..=bounds.1).contains(number)).ok_or_else(
        || IndexError::OutOfBounds { name: name.to_owned(), value: value.to_owned(), bounds },
    )
}

pub(super) fn type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::FixedSizeList(item, _) | DataType::List(item)
            if *item.data_type() == DataType::Float32 =>
        {
            "vector"
        }
        DataType::Utf8 => "text",
        DataType::Int64 => "bigint",
        DataType::Int32 => "integer",
        DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Boolean => "boolean",
        DataType::Timestamp(..) => "timestamp with time zone",
        _ => "record",
    }
}
