//! Functions that look a name up in the catalog: `to_regclass`, `to_regtype` and others that drivers and BI
//! tools call.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::prelude::SessionContext;
use datafusion_postgres::arrow_pg::datatypes::PG_VECTOR_TYPE_OID;

use super::relations::Relations;
use crate::database::DEFAULT_SCHEMA;
use crate::types::{HALFVEC_ARRAY_OID, HALFVEC_OID};
use crate::views::TEMPORARY;

/// Registers all of them.
pub(super) fn register(context: &SessionContext, relations: &Arc<Relations>) {
    context.register_udf(relation(relations));
    for (name, kind, signature) in [
        ("to_regtype", Kind::Type, TypeSignature::Any(1)),
        ("pg_get_serial_sequence", Kind::Nothing, TypeSignature::Any(2)),
        ("pg_get_triggerdef", Kind::Nothing, TypeSignature::VariadicAny),
        ("pg_get_ruledef", Kind::Nothing, TypeSignature::VariadicAny),
        ("pg_tablespace_location", Kind::Nothing, TypeSignature::Any(1)),
        ("inet_server_addr", Kind::Nothing, TypeSignature::Nullary),
        ("inet_server_port", Kind::Nothing, TypeSignature::Nullary),
        ("pg_client_encoding", Kind::Encoding, TypeSignature::Nullary),
        ("getdatabaseencoding", Kind::Encoding, TypeSignature::Nullary),
        ("pg_ts_config_is_visible", Kind::Yes, TypeSignature::Any(1)),
        ("pg_is_in_recovery", Kind::No, TypeSignature::Nullary),
        ("pg_operator_is_visible", Kind::Yes, TypeSignature::Any(1)),
        ("pg_collation_is_visible", Kind::Yes, TypeSignature::Any(1)),
        ("pg_opclass_is_visible", Kind::Yes, TypeSignature::Any(1)),
        ("pg_opfamily_is_visible", Kind::Yes, TypeSignature::Any(1)),
        ("pg_conversion_is_visible", Kind::Yes, TypeSignature::Any(1)),
        ("pg_statistics_obj_is_visible", Kind::Yes, TypeSignature::Any(1)),
        ("pg_ts_parser_is_visible", Kind::Yes, TypeSignature::Any(1)),
        ("pg_ts_template_is_visible", Kind::Yes, TypeSignature::Any(1)),
        ("pg_ts_dict_is_visible", Kind::Yes, TypeSignature::Any(1)),
        ("pg_jit_available", Kind::No, TypeSignature::Nullary),
        // Rows come from sources alone, in tables that have no parts, files or triggers.
        ("pg_column_is_updatable", Kind::No, TypeSignature::Any(3)),
        ("pg_relation_is_updatable", Kind::Zero, TypeSignature::Any(2)),
        ("pg_trigger_depth", Kind::Zero, TypeSignature::Nullary),
        ("pg_relation_filepath", Kind::Nothing, TypeSignature::Any(1)),
        ("pg_get_partition_constraintdef", Kind::Nothing, TypeSignature::Any(1)),
        ("pg_get_statisticsobjdef", Kind::Nothing, TypeSignature::Any(1)),
        ("pg_get_function_arg_default", Kind::Nothing, TypeSignature::Any(2)),
        ("pg_last_wal_receive_lsn", Kind::Nothing, TypeSignature::Nullary),
        ("pg_last_wal_replay_lsn", Kind::Nothing, TypeSignature::Nullary),
        ("pg_partition_root", Kind::NoOid, TypeSignature::Any(1)),
        ("pg_get_replica_identity_index", Kind::NoOid, TypeSignature::Any(1)),
        ("pg_relation_filenode", Kind::NoOid, TypeSignature::Any(1)),
        ("pg_sequence_last_value", Kind::NoNumber, TypeSignature::Any(1)),
        ("pg_current_xact_id_if_assigned", Kind::NoNumber, TypeSignature::Nullary),
        ("txid_current_if_assigned", Kind::NoNumber, TypeSignature::Nullary),
        ("txid_current", Kind::One, TypeSignature::Nullary),
    ] {
        let signature = Signature::new(signature, Volatility::Stable);
        let relations = Arc::clone(relations);
        context.register_udf(ScalarUDF::new_from_impl(Lookup { name, kind, signature, relations }));
    }
}

/// `to_regclass` over the views that a session sees.
pub(super) fn relation(relations: &Arc<Relations>) -> ScalarUDF {
    ScalarUDF::new_from_impl(Lookup {
        name: "to_regclass",
        kind: Kind::Relation,
        signature: Signature::any(1, Volatility::Stable),
        relations: Arc::clone(relations),
    })
}

/// What a function answers.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// The OID of a table, NULL for a name of none.
    Relation,
    /// The OID of a type.
    Type,
    /// NULL as `text`: there is nothing of the kind.
    Nothing,
    /// NULL as an OID.
    NoOid,
    /// NULL as a `bigint`.
    NoNumber,
    /// 0 as an `integer`.
    Zero,
    /// 1 as a `bigint`.
    One,
    /// `UTF8`, in which all texts are.
    Encoding,
    Yes,
    No,
}

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
            Kind::Relation | Kind::Type | Kind::NoOid | Kind::Zero => DataType::Int32,
            Kind::NoNumber | Kind::One => DataType::Int64,
            Kind::Nothing | Kind::Encoding => DataType::Utf8,
            Kind::Yes | Kind::No => DataType::Boolean,
        })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let oids = |find: &dyn Fn(&str) -> Option<i32>| -> Result<ArrayRef> {
            let names = cast(&arguments.args[0].to_array(rows)?, &DataType::Utf8)?;
            let found = names.as_string::<i32>().iter().map(|name| find(name?));
            Ok(Arc::new(found.collect::<Int32Array>()))
        };
        let array: ArrayRef = match self.kind {
            Kind::Relation => oids(&|name| {
                let (schema, name) = match name.split_once('.') {
                    Some((schema, name)) => (Some(schema.trim_matches('"')), name),
                    None => (None, name),
                };
                let schemas: &[&str] = match &schema {
                    Some(schema) => std::slice::from_ref(schema),
                    None => &[TEMPORARY, DEFAULT_SCHEMA, super::SCHEMA],
                };
                schemas
                    .iter()
                    .find_map(|schema| self.relations.find(schema, name.trim_matches('"')))
            })?,
            Kind::Type => oids(&type_oid)?,
            Kind::Nothing => Arc::new(StringArray::new_null(rows)),
            Kind::NoOid => Arc::new(Int32Array::new_null(rows)),
            Kind::NoNumber => Arc::new(Int64Array::new_null(rows)),
            Kind::Zero => Arc::new(Int32Array::from(vec![0; rows])),
            Kind::One => Arc::new(Int64Array::from(vec![1; rows])),
            Kind::Encoding => Arc::new(StringArray::from(vec!["UTF8"; rows])),
            Kind::Yes => Arc::new(BooleanArray::from(vec![true; rows])),
            Kind::No => Arc::new(BooleanArray::from(vec![false; rows])),
        };
        Ok(ColumnarValue::Array(array))
    }
}

/// PostgreSQL's OIDs of the types that our columns have, by any of their names.
fn type_oid(name: &str) -> Option<i32> {
    let name = name.trim().to_ascii_lowercase();
    let name = name.strip_prefix("pg_catalog.").or(name.strip_prefix("public.")).unwrap_or(&name);
    let name = name.trim_matches('"');
    Some(match name {
        "bool" | "boolean" => 16,
        "bytea" => 17,
        "name" => 19,
        "int8" | "bigint" => 20,
        "int2" | "smallint" => 21,
        "int4" | "integer" | "int" => 23,
        "text" => 25,
        "oid" => 26,
        "json" => 114,
        "float4" | "real" => 700,
        "float8" | "double precision" => 701,
        "bpchar" | "character" | "char" => 1042,
        "varchar" | "character varying" => 1043,
        "date" => 1082,
        "time" | "time without time zone" => 1083,
        "timestamp" | "timestamp without time zone" => 1114,
        "timestamptz" | "timestamp with time zone" => 1184,
        "interval" => 1186,
        "numeric" | "decimal" => 1700,
        "uuid" => 2950,
        "jsonb" => 3802,
        "record" => 2249,
        "_vector" | "vector[]" => super::types::VECTOR_ARRAY_OID,
        "bit" => 1560,
        "_bit" | "bit[]" => 1561,
        "varbit" | "bit varying" => 1562,
        "halfvec" => i32::try_from(HALFVEC_OID).ok()?,
        "_halfvec" | "halfvec[]" => i32::try_from(HALFVEC_ARRAY_OID).ok()?,
        "_varbit" | "bit varying[]" => 1563,
        "vector" => i32::try_from(PG_VECTOR_TYPE_OID).ok()?,
        _ => return None,
    })
}
