//! Functions that psql and drivers call on the catalog, beside those of datafusion-pg-catalog.
//!
//! They take OIDs as any integer and texts; whatever they cannot answer is NULL.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::prelude::SessionContext;
use datafusion_postgres::arrow_pg::datatypes::PG_VECTOR_TYPE_OID;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::format_type::create_format_type_udf;

use super::relations::Relations;
use super::{keys, procedures, sizes};
use crate::types::{BIT_OID, HALFVEC_ARRAY_OID, HALFVEC_OID, VARBIT_OID};

/// PostgreSQL's OIDs of `record` and `record[]`.
const RECORD_OID: i32 = 2249;
const RECORD_ARRAY_OID: i32 = 2287;

/// Registers all of them; those that datafusion-pg-catalog has too are replaced.
pub(super) fn register(context: &SessionContext, relations: &Arc<Relations>) {
    let library_format_type = Arc::new(create_format_type_udf());
    let kinds = [
        ("pg_function_is_visible", Kind::Yes, 1..=1),
        ("pg_type_is_visible", Kind::Yes, 1..=1),
        ("shobj_description", Kind::NoText, 2..=2),
        ("pg_get_function_result", Kind::FunctionResult, 1..=1),
        ("pg_get_function_arguments", Kind::FunctionArguments, 1..=1),
        ("pg_get_function_identity_arguments", Kind::FunctionArguments, 1..=1),
        ("pg_get_functiondef", Kind::FunctionDefinition, 1..=1),
        ("pg_get_function_sqlbody", Kind::NoText, 1..=1),
        ("pg_get_constraintdef", Kind::ConstraintDefinition, 1..=2),
        ("pg_database_size", Kind::NoSize, 1..=1),
        ("pg_size_pretty", Kind::PrettySize, 1..=1),
    ];
    for (name, kind, arguments) in kinds {
        let signatures = arguments.map(TypeSignature::Any).collect();
        let signature = Signature::one_of(signatures, Volatility::Stable);
        let relations = Arc::clone(relations);
        context.register_udf(ScalarUDF::new_from_impl(Lookup { name, kind, signature, relations }));
    }
    for function in of_views(relations).chain(sizes::functions(relations)) {
        context.register_udf(function);
    }
    let signature = Signature::any(2, Volatility::Stable);
    context.register_udf(ScalarUDF::new_from_impl(FormatType {
        signature,
        library: library_format_type,
    }));
}

/// `pg_get_indexdef` over the indexes that a session may see.
pub(super) fn index_definition(relations: &Arc<Relations>) -> ScalarUDF {
    let signatures = (1..=3).map(TypeSignature::Any).collect();
    ScalarUDF::new_from_impl(Lookup {
        name: "pg_get_indexdef",
        kind: Kind::IndexDefinition,
        signature: Signature::one_of(signatures, Volatility::Stable),
        relations: Arc::clone(relations),
    })
}

/// Those whose answers are about a session's temporary views too.
pub(super) fn of_views(relations: &Arc<Relations>) -> impl Iterator<Item = ScalarUDF> {
    let kinds = [
        ("pg_table_is_visible", Kind::TableIsVisible, 1..=1),
        ("obj_description", Kind::TableComment, 1..=2),
        ("col_description", Kind::ColumnComment, 2..=2),
        ("pg_get_viewdef", Kind::ViewDefinition, 1..=2),
    ];
    kinds.into_iter().map(|(name, kind, arguments)| {
        let signatures = arguments.map(TypeSignature::Any).collect();
        let signature = Signature::one_of(signatures, Volatility::Stable);
        let relations = Arc::clone(relations);
        ScalarUDF::new_from_impl(Lookup { name, kind, signature, relations })
    })
}

/// What a function answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// Whether a table is found without its schema.
    TableIsVisible,
    /// True.
    Yes,
    TableComment,
    ColumnComment,
    FunctionResult,
    FunctionArguments,
    /// The statement that would make a function of ours.
    FunctionDefinition,
    /// The statement that makes an index, or the name of one of its columns.
    IndexDefinition,
    ConstraintDefinition,
    /// The query of a view.
    ViewDefinition,
    /// NULL as `text`.
    NoText,
    /// NULL as `bigint`: there are no files to measure.
    NoSize,
    PrettySize,
}

/// A function of an OID.
#[derive(Debug)]
struct Lookup {
    name: &'static str,
    kind: Kind,
    signature: Signature,
    relations: Arc<Relations>,
}

impl PartialEq for Lookup {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.relations, &other.relations)
    }
}

impl Eq for Lookup {}

impl Hash for Lookup {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Lookup {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::TableIsVisible | Kind::Yes => DataType::Boolean,
            Kind::NoSize => DataType::Int64,
            Kind::FunctionResult | Kind::FunctionArguments | Kind::FunctionDefinition => {
                DataType::Utf8
            }
            Kind::TableComment
            | Kind::ColumnComment
            | Kind::IndexDefinition
            | Kind::ConstraintDefinition
            | Kind::ViewDefinition
            | Kind::NoText
            | Kind::PrettySize => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let integers = |at: usize| -> Result<ArrayRef> {
            Ok(cast(&arguments.args[at].to_array(rows)?, &DataType::Int32)?)
        };
        let array: ArrayRef = match self.kind {
            Kind::Yes => Arc::new(BooleanArray::from(vec![true; rows])),
            Kind::NoText => Arc::new(StringArray::new_null(rows)),
            Kind::NoSize => Arc::new(Int64Array::new_null(rows)),
            Kind::FunctionDefinition => {
                let oids = integers(0)?;
                let texts = oids.as_primitive::<Int32Type>().iter();
                let texts = texts.map(|oid| Some(procedures::get(oid?)?.definition()));
                Arc::new(texts.collect::<StringArray>())
            }
            Kind::FunctionResult | Kind::FunctionArguments => {
                let oids = integers(0)?;
                let texts = oids.as_primitive::<Int32Type>().iter().map(|oid| {
                    let procedure = procedures::get(oid?)?;
                    Some(match self.kind {
                        Kind::FunctionResult => procedure.result(),
                        _ => procedure.arguments(),
                    })
                });
                Arc::new(texts.collect::<StringArray>())
            }
            Kind::PrettySize => {
                let sizes = cast(&arguments.args[0].to_array(rows)?, &DataType::Int64)?;
                let sizes = sizes.as_primitive::<arrow::datatypes::Int64Type>();
                let texts = sizes.iter().map(|size| size.map(pretty_size));
                Arc::new(texts.collect::<StringArray>())
            }
            Kind::TableIsVisible => {
                let oids = integers(0)?;
                let visible = oids.as_primitive::<Int32Type>().iter();
                let visible = visible.map(|oid| Some(self.relations.is_visible(oid?)));
                Arc::new(visible.collect::<BooleanArray>())
            }
            Kind::TableComment => {
                let oids = integers(0)?;
                // What is in another table of the catalog may have the same number.
                let catalogs = match arguments.args.get(1) {
                    Some(catalog) => Some(cast(&catalog.to_array(rows)?, &DataType::Utf8)?),
                    None => None,
                };
                let mut catalogs = catalogs.as_ref().map(|names| names.as_string::<i32>().iter());
                let comments = oids.as_primitive::<Int32Type>().iter().map(|oid| {
                    let is_table = match &mut catalogs {
                        Some(catalogs) => catalogs.next().flatten() == Some("pg_class"),
                        None => true,
                    };
                    self.relations.table_comment(oid.filter(|_| is_table)?)
                });
                Arc::new(comments.collect::<StringArray>())
            }
            Kind::ConstraintDefinition => {
                let oids = integers(0)?;
                let definitions = oids.as_primitive::<Int32Type>().iter();
                let definitions = definitions.map(|oid| Some(keys::constraint(oid?)?.definition()));
                Arc::new(definitions.collect::<StringArray>())
            }
            Kind::ViewDefinition => {
                let (oids, views) = (integers(0)?, self.relations.views());
                let queries = oids.as_primitive::<Int32Type>().iter().map(|oid| {
                    let oid = oid?;
                    let view = views.values().find(|view| view.oid == oid)?;
                    Some(format!(" {};", view.query.trim()))
                });
                Arc::new(queries.collect::<StringArray>())
            }
            Kind::IndexDefinition => {
                let oids = integers(0)?;
                let numbers = match arguments.args.len() {
                    1 => None,
                    _ => Some(integers(1)?),
                };
                let indexes = self.relations.indexes();
                let definitions = (0..rows).map(|row| {
                    let oid = oids.as_primitive::<Int32Type>().value(row);
                    let index = indexes.iter().find(|index| index.oid == oid)?;
                    let number = numbers
                        .as_ref()
                        .map_or(0, |numbers| numbers.as_primitive::<Int32Type>().value(row));
                    match usize::try_from(number).ok()?.checked_sub(1) {
                        Some(at) => index.columns.get(at).cloned(),
                        None => Some(index.definition.clone()),
                    }
                });
                Arc::new(definitions.collect::<StringArray>())
            }
            Kind::ColumnComment => {
                let (oids, numbers) = (integers(0)?, integers(1)?);
                let comments = oids
                    .as_primitive::<Int32Type>()
                    .iter()
                    .zip(numbers.as_primitive::<Int32Type>())
                    .map(|(oid, number)| self.relations.column_comment(oid?, number?));
                Arc::new(comments.collect::<StringArray>())
            }
        };
        Ok(ColumnarValue::Array(array))
    }
}

/// `format_type` with the types that the library's does not know.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FormatType {
    signature: Signature,
    library: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for FormatType {
    fn name(&self) -> &str {
        "format_type"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, mut arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        for argument in &mut arguments.args {
            *argument = ColumnarValue::Array(cast(&argument.to_array(rows)?, &DataType::Int32)?);
        }
        let oids = arguments.args[0].to_array(rows)?;
        let modifiers = arguments.args[1].to_array(rows)?;
        let names = self.library.invoke_with_args(arguments)?.to_array(rows)?;
        let (oids, modifiers) =
            (oids.as_primitive::<Int32Type>(), modifiers.as_primitive::<Int32Type>());
        let names = names.as_string::<i32>().iter().enumerate().map(|(row, name)| {
            let oid = oids.is_valid(row).then(|| oids.value(row))?;
            let modifier = if modifiers.is_valid(row) { modifiers.value(row) } else { -1 };
            known_name(oid, modifier).or_else(|| name.map(str::to_owned))
        });
        Ok(ColumnarValue::Array(Arc::new(names.collect::<StringArray>())))
    }
}

fn known_name(oid: i32, modifier: i32) -> Option<String> {
    match oid {
        RECORD_OID => Some("record".into()),
        RECORD_ARRAY_OID => Some("record[]".into()),
        oid if u32::try_from(oid) == Ok(PG_VECTOR_TYPE_OID) => {
            Some(if modifier > 0 { format!("vector({modifier})") } else { "vector".into() })
        }
        oid if u32::try_from(oid) == Ok(HALFVEC_OID) => {
            Some(if modifier > 0 { format!("halfvec({modifier})") } else { "halfvec".into() })
        }
        // Without a length the name is quoted, as `bit` alone means one bit.
        oid if u32::try_from(oid) == Ok(BIT_OID) => {
            Some(if modifier > 0 { format!("bit({modifier})") } else { "\"bit\"".into() })
        }
        oid if u32::try_from(oid) == Ok(VARBIT_OID) => Some(if modifier > 0 {
            format!("bit varying({modifier})")
        } else {
            "bit varying".into()
        }),
        oid if u32::try_from(oid) == Ok(HALFVEC_ARRAY_OID) => Some("halfvec[]".into()),
        _ => None,
    }
}

/// A number of bytes in the unit that leaves it few digits, rounded as PostgreSQL rounds it.
fn pretty_size(bytes: i64) -> String {
    const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    // From the second unit on, twice the size, so that the last digit rounds half up.
    let mut size = bytes;
    for (at, unit) in UNITS.iter().enumerate() {
        let limit = if at == 0 { 10 * 1024 } else { 20 * 1024 - 1 };
        if size.unsigned_abs() < limit || at == UNITS.len() - 1 {
            let rounded = if at == 0 { size } else { (size + size.signum()) / 2 };
            return format!("{rounded} {unit}");
        }
        size /= if at == 0 { 512 } else { 1024 };
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As PostgreSQL 15 answers.
    #[test]
    fn sizes_are_written_as_postgresql_writes_them() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (10_239, "10239 bytes"),
            (10_240, "10 kB"),
            (123_456_789, "118 MB"),
            (1 << 40, "1024 GB"),
            (-1_000_000, "-977 kB"),
            (i64::MAX, "8192 PB"),
        ] {
            assert_eq!(pretty_size(bytes), text);
        }
    }
}
