//! `pg_roles` and `pg_auth_members`: the roles, and who is a member of which. Passwords are not
//! shown, nor verifiers.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    new_null_array,
};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::{MemTable, TableType};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

use crate::SqlError;
use crate::access::{Access, denied_table};
use crate::roles::{ADMIN, PUBLIC, Role, RoleMap, Roles};

/// What a row of the table is.
#[derive(Clone, Copy, Debug)]
pub(super) enum RowIs {
    Role,
    /// A role in `pg_authid`, which is for members of `vigil_admin` alone. Verifiers are not shown
    /// there either.
    Secret,
    Membership,
}

/// datafusion-pg-catalog's table with our rows.
#[derive(Debug)]
pub(super) struct RoleTable {
    pub(super) inner: Arc<dyn TableProvider>,
    pub(super) roles: Arc<Roles>,
    pub(super) row_is: RowIs,
}

/// The column of a name, where the table has it.
type Columns<'a> = Box<dyn Fn(&str) -> Option<ArrayRef> + 'a>;

impl RoleTable {
    fn rows(&self) -> Result<RecordBatch> {
        let mut roles = self.roles.all();
        roles.remove(PUBLIC);
        let (rows, column): (usize, Columns<'_>) = match self.row_is {
            RowIs::Role | RowIs::Secret => {
                (roles.len(), Box::new(|name| role_column(&roles, name)))
            }
            RowIs::Membership => {
                let members = memberships(&roles);
                (members.len(), Box::new(move |name| membership_column(&members, name)))
            }
        };
        let schema = self.inner.schema();
        let columns = schema
            .fields()
            .iter()
            .map(|field| match column(field.name()) {
                Some(array) => Ok(arrow::compute::cast(&array, field.data_type())?),
                None => Ok(new_null_array(field.data_type(), rows)),
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

fn role_column(roles: &RoleMap, name: &str) -> Option<ArrayRef> {
    let booleans = |of: fn(&Role) -> bool| -> ArrayRef {
        Arc::new(roles.values().map(|role| Some(of(role))).collect::<BooleanArray>())
    };
    Some(match name {
        "rolname" => Arc::new(StringArray::from_iter_values(roles.keys())),
        "oid" => Arc::new(Int32Array::from_iter_values(roles.values().map(|role| role.oid))),
        "rolcanlogin" => booleans(|role| role.login),
        "rolinherit" => booleans(|_| true),
        "rolsuper" | "rolcreaterole" => {
            let is_admin = |(name, role): (&String, &Role)| {
                Some(name == ADMIN || role.member_of.contains(ADMIN))
            };
            Arc::new(roles.iter().map(is_admin).collect::<BooleanArray>())
        }
        "rolcreatedb" | "rolreplication" | "rolbypassrls" => booleans(|_| false),
        "rolconnlimit" => {
            let limits = roles.values().map(|role| role.connection_limit);
            let limits = limits.map(|limit| limit.map_or(-1, |limit| limit.cast_signed()));
            Arc::new(Int32Array::from_iter_values(limits))
        }
        "rolvaliduntil" => {
            let times = roles.values().map(|role| role.valid_until_micros);
            Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
        "rolpassword" => Arc::new(StringArray::from_iter_values(roles.keys().map(|_| "********"))),
        _ => return None,
    })
}

/// Group and member by number.
fn memberships(roles: &RoleMap) -> Vec<(i32, i32)> {
    roles
        .values()
        .flat_map(|member| {
            let groups = member.member_of.iter().filter_map(|group| roles.get(group));
            groups.map(|group| (group.oid, member.oid))
        })
        .collect()
}

fn membership_column(members: &[(i32, i32)], name: &str) -> Option<ArrayRef> {
    Some(match name {
        "oid" => Arc::new(Int32Array::from_iter_values((1..).take(members.len()))),
        "roleid" => Arc::new(Int32Array::from_iter_values(members.iter().map(|(group, _)| *group))),
        "member" => {
            Arc::new(Int32Array::from_iter_values(members.iter().map(|(_, member)| *member)))
        }
        // Whoever is asked: the first role of all.
        "grantor" => Arc::new(Int32Array::from_iter_values(members.iter().map(|_| 10))),
        "admin_option" => Arc::new(BooleanArray::from(vec![false; members.len()])),
        "inherit_option" | "set_option" => Arc::new(BooleanArray::from(vec![true; members.len()])),
        _ => return None,
    })
}

#[async_trait]
impl TableProvider for RoleTable {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn table_type(&self) -> TableType {
        self.inner.table_type()
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if let RowIs::Secret = self.row_is {
            let access = state.config().get_extension::<Access>();
            let is_admin = match access {
                Some(access) => access.privileges().map_err(external)?.is_admin,
                None => false,
            };
            if !is_admin {
                return Err(external(denied_table("pg_authid")));
            }
        }
        MemTable::try_new(self.schema(), vec![vec![self.rows()?]])?
            .scan(state, projection, filters, limit)
            .await
    }
}

fn external(error: SqlError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
