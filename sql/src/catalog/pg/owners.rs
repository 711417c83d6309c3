//! Owners: what the library and our rows leave without one belongs to [`OWNER`], a view to the role that made it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, SchemaRef};
use datafusion::error::Result;

use super::extra::Extra;
use super::relations::Relations;
use crate::roles::Roles;

/// PostgreSQL's OID of the role that owns what the system has, here of `vigil_admin`.
pub(super) const OWNER: i32 = 10;

/// The owners in the column `column` of a table.
#[derive(Debug)]
pub(super) struct Owners {
    pub(super) column: &'static str,
    pub(super) roles: Arc<Roles>,
}

impl Extra for Owners {
    fn rows(&self, _relations: &Relations, schema: &SchemaRef) -> Result<RecordBatch> {
        Ok(RecordBatch::new_empty(Arc::clone(schema)))
    }

    fn corrected(&self, relations: &Relations, rows: RecordBatch) -> Result<RecordBatch> {
        let schema = rows.schema();
        let (owner_at, oid_at) = (schema.index_of(self.column)?, schema.index_of("oid")?);
        let owners = cast(rows.column(owner_at), &DataType::Int32)?;
        let oids = cast(rows.column(oid_at), &DataType::Int32)?;
        let of_views = self.of_views(relations);
        let owners = owners.as_primitive::<Int32Type>().iter();
        let owners = owners.zip(oids.as_primitive::<Int32Type>()).map(|(owner, oid)| {
            let owner = owner.filter(|owner| *owner != 0).unwrap_or(OWNER);
            oid.and_then(|oid| of_views.get(&oid).copied()).unwrap_or(owner)
        });
        let owners: ArrayRef = Arc::new(Int32Array::from_iter_values(owners));
        let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
        columns[owner_at] = cast(&owners, schema.field(owner_at).data_type())?;
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

impl Owners {
    /// The views that a role has made, and that role.
    fn of_views(&self, relations: &Relations) -> BTreeMap<i32, i32> {
        if self.column != "relowner" {
            return BTreeMap::new();
        }
        let views = relations.views();
        let owned = views.values().filter_map(|view| {
            let owner = self.roles.get(view.owner.as_deref()?)?;
            Some((view.oid, owner.oid))
        });
        owned.collect()
    }
}
