//! What a session may see and do.
//!
//! A session carries an [`Access`]: who it is. What follows from that is looked up anew for each
//! statement, so a grant that is taken back is gone with the next one. There are two places where
//! rows are kept from somebody, and no way around them: the leaf of every plan that reads a table
//! ([`table`]), and the engine as statements and functions see it ([`engine`]).

mod engine;
mod owned;
mod table;

use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{LogicalPlan, TableSource};

pub(crate) use self::engine::VisibleEngine;
pub(crate) use self::owned::{OwnedTable, Via};
pub(crate) use self::table::VisibleTable;
use crate::SqlError;
use crate::catalog::StandardTable;
use crate::catalog::system::{self, SYSTEM_SCHEMA};
use crate::database::{DATABASE, DEFAULT_SCHEMA};
use crate::dialect::with_deep_stack;
use crate::roles::{Grant, Privileges, RoleMap, Roles, Rows};

/// Who a session is.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    roles: Arc<Roles>,
    who: Who,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    /// Whoever runs the process, or is trusted like that.
    Owner,
    /// Somebody who has logged in.
    Role(String),
}

impl Access {
    /// Everything.
    pub(crate) fn of_owner(roles: Arc<Roles>) -> Self {
        Self { roles, who: Who::Owner }
    }

    /// What `user` may.
    pub(crate) fn of_role(roles: Arc<Roles>, user: &str) -> Self {
        Self { roles, who: Who::Role(user.to_owned()) }
    }

    /// What it may at this moment.
    ///
    /// # Errors
    /// SQLSTATE 28000 when the role was dropped.
    pub(crate) fn privileges(&self) -> Result<Privileges, SqlError> {
        match &self.who {
            Who::Owner => Ok(Privileges::of_owner()),
            Who::Role(name) => self.roles.privileges(name),
        }
    }

    /// What another role may at this moment; `None` when there is no such role.
    pub(crate) fn privileges_of(&self, role: &str) -> Option<Privileges> {
        self.roles.get(role)?;
        self.roles.privileges(role).ok()
    }

    /// All roles as they are now.
    pub(crate) fn all_roles(&self) -> RoleMap {
        self.roles.all()
    }

    /// The name of the role with this OID.
    pub(crate) fn role_with_oid(&self, oid: i64) -> Option<String> {
        let mut all = self.roles.all().into_iter();
        all.find(|(_, role)| i64::from(role.oid) == oid).map(|(name, _)| name)
    }

    /// Takes back what was granted on a source that is no more.
    pub(crate) fn forget_source(&self, source: &str) -> Result<(), SqlError> {
        let gone = Grant::Source(source.to_owned());
        self.roles.change(|roles| {
            for role in roles.values_mut() {
                role.grants.remove(&gone);
            }
            Ok(())
        })
    }

    /// The name that it has logged in with; `None` is the owner.
    pub(crate) fn role(&self) -> Option<&str> {
        match &self.who {
            Who::Owner => None,
            Who::Role(name) => Some(name),
        }
    }

    /// The rows of a table that it sees.
    ///
    /// # Errors
    /// SQLSTATE 42501 when it sees none.
    pub(crate) fn rows_of(&self, schema: &str, table: &str) -> Result<Rows, SqlError> {
        self.privileges()?.rows_of(schema, table).ok_or_else(|| denied_table(table))
    }

    /// Whether it sees all rows of the tables with vectors.
    ///
    /// # Errors
    /// SQLSTATE 28000 when the role was dropped.
    pub(crate) fn sees_all_vectors(&self) -> Result<bool, SqlError> {
        let privileges = self.privileges()?;
        Ok([StandardTable::Captions, StandardTable::Embeddings]
            .into_iter()
            .all(|table| privileges.rows_of(DEFAULT_SCHEMA, table.name()) == Some(Rows::All)))
    }

    /// Refuses a plan that reads a table that this session may not read.
    ///
    /// # Errors
    /// SQLSTATE 42501.
    pub(crate) fn check(&self, plan: &LogicalPlan) -> Result<(), SqlError> {
        self.check_reads(&Reads::of(plan)?)
    }

    /// The same for a plan whose tables are known.
    ///
    /// # Errors
    /// SQLSTATE 42501.
    pub(crate) fn check_reads(&self, reads: &Reads) -> Result<(), SqlError> {
        let privileges = self.privileges()?;
        reads.0.iter().try_for_each(|read| match read {
            Read::Table(schema, table) => match privileges.rows_of(schema, table) {
                Some(_) => Ok(()),
                None => Err(denied_table(table)),
            },
            Read::View(via) => via.rows_for(self).map(drop),
        })
    }
}

/// The tables of ours that a plan reads, in the order in which it has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reads(Vec<Read>);

#[derive(Clone, Debug)]
enum Read {
    /// A table with its schema.
    Table(&'static str, String),
    /// A table by way of a view.
    View(Arc<Via>),
}

impl Reads {
    /// # Errors
    /// When the plan cannot be walked through.
    pub(crate) fn of(plan: &LogicalPlan) -> Result<Self, SqlError> {
        let mut reads = Self::default();
        with_deep_stack(|| {
            plan.apply_with_subqueries(|node| {
                if let LogicalPlan::TableScan(scan) = node
                    && let Some(view) = view_of(&scan.source)
                {
                    reads.0.push(Read::View(view));
                } else if let LogicalPlan::TableScan(scan) = node
                    && let (schema, table) = (scan.table_name.schema(), scan.table_name.table())
                    && let Some(schema) = schema_of(scan.table_name.catalog(), schema, table)
                {
                    reads.0.push(Read::Table(schema, table.to_owned()));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(reads)
    }
}

/// The view by way of which a table is read.
fn view_of(source: &Arc<dyn TableSource>) -> Option<Arc<Via>> {
    let provider = source_as_provider(source).ok()?;
    let provider: &dyn std::any::Any = provider.as_ref();
    Some(Arc::clone(provider.downcast_ref::<OwnedTable>()?.via()))
}

/// The schema of one of our tables; all others are PostgreSQL's catalog, open to everybody.
fn schema_of(catalog: Option<&str>, schema: Option<&str>, table: &str) -> Option<&'static str> {
    if catalog.is_some_and(|catalog| catalog != DATABASE) {
        return None;
    }
    let is_standard = StandardTable::ALL.into_iter().any(|standard| standard.name() == table);
    let is_system = system::all().iter().any(|system| system.name == table);
    match schema {
        Some(DEFAULT_SCHEMA) if is_standard => Some(DEFAULT_SCHEMA),
        Some(SYSTEM_SCHEMA) if is_system => Some(SYSTEM_SCHEMA),
        None if is_standard => Some(DEFAULT_SCHEMA),
        None if is_system => Some(SYSTEM_SCHEMA),
        _ => None,
    }
}

pub(crate) fn denied_table(table: &str) -> SqlError {
    denied(format!("permission denied for table {table}"), None)
}

/// SQLSTATE 42501.
pub(crate) fn denied(message: String, hint: Option<&str>) -> SqlError {
    SqlError::Invalid { sqlstate: "42501", message, hint: hint.map(str::to_owned), position: None }
}
