//! The schema `pg_catalog`: datafusion-pg-catalog's, with what it does not know about our tables
//! put right. psql's backslash commands, drivers and BI tools read it.
//!
//! | file | what it adds |
//! | --- | --- |
//! | `relations` | which table an OID is, with its columns and comments |
//! | `attributes` | `pg_attribute` with PostgreSQL's types of our columns, `vector(n)` among them |
//! | `keys` | `pg_class`, `pg_index`, `pg_constraint`, `pg_am` and `pg_extension` with keys and what vectors need |
//! | `extra` | the library's tables with rows of ours |
//! | `descriptions` | `pg_description` with the comments of our tables and columns |
//! | `roles` | `pg_roles` and `pg_auth_members` with our roles |
//! | `types` | `pg_type` with `vector` where drivers look for it |
//! | `sessions` | `pg_stat_activity` |
//! | `functions` | `format_type`, `col_description` and others that clients call |
//! | `privileges` | `has_table_privilege`, `pg_has_role` and their like |
//! | `names` | `to_regclass`, `to_regtype` |
//! | `owners` | who owns what, where nobody else says so |
//! | `sizes` | `pg_relation_size` and its like |
//! | `indexes` | indexes in `pg_class`, `pg_index`, `pg_indexes` and `pg_stat_progress_create_index` |
//! | `views` | views in `pg_class`, `pg_attribute`, `pg_rewrite` and `pg_depend`, their schema in `pg_namespace` |
//! | `procedures` | `pg_proc` with Vigil's functions |

mod attributes;
mod descriptions;
mod extra;
mod functions;
mod indexes;
mod keys;
mod names;
mod owners;
mod privileges;
mod procedures;
mod relations;
mod roles;
mod sessions;
mod sizes;
mod types;
mod views;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::internal_datafusion_err;
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionContext;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::setup_pg_catalog;

use self::attributes::Attributes;
use self::descriptions::Descriptions;
use self::extra::{Extended, Extra};
use self::indexes::{IndexView, View};
use self::owners::Owners;
use self::procedures::Procedures;
use self::relations::Relations;
use self::roles::{RoleTable, RowIs};
use self::sessions::Sessions;
use self::types::PgTypes;
use super::computed::ComputedTable;
use crate::Engine;
use crate::access::Access;
use crate::activity::Activity;
use crate::database::{DATABASE, Kept};
use crate::roles::Roles;

pub(crate) use self::attributes::{NO_MODIFIER, postgres_type};
pub(crate) use self::relations::INFORMATION_VIEWS;

/// The schema's name.
const SCHEMA: &str = "pg_catalog";

/// Registers the schema and the functions that its users call.
pub(crate) fn register(
    context: &SessionContext,
    engine: &Arc<dyn Engine>,
    activity: &Arc<Activity>,
    kept: &Kept<'_>,
) -> Result<OfSession> {
    setup_pg_catalog(context, DATABASE, EmptyContextProvider).map_err(|error| *error)?;
    let catalog = catalog(context)?;
    let inner = catalog
        .schema(SCHEMA)
        .ok_or_else(|| internal_datafusion_err!("pg_catalog is not registered"))?;
    let relations = Arc::new(Relations::read(context, inner.as_ref(), engine, kept)?);
    functions::register(context, &relations);
    names::register(context, &relations);
    let sessions = Arc::new(Sessions::new(Arc::clone(activity)));
    let roles = Arc::clone(kept.roles);
    let of_session = OfSession { relations: Arc::clone(&relations) };
    let schema = PgCatalog { inner, relations, roles, sessions };
    catalog.register_schema(SCHEMA, Arc::new(schema))?;
    Ok(of_session)
}

/// Functions whose answers depend on who asks.
#[derive(Debug)]
pub(crate) struct OfSession {
    relations: Arc<Relations>,
}

impl OfSession {
    /// Those of a session.
    pub(crate) fn functions(
        &self,
        access: &Arc<Access>,
        user: &str,
        session: i32,
    ) -> Vec<ScalarUDF> {
        let relations = Arc::new(self.relations.seen_by(access, Some(session)));
        let mut functions = privileges::functions(&relations, access, user);
        functions.push(functions::index_definition(&relations));
        functions.extend(sizes::functions(&relations));
        functions.extend(functions::of_views(&relations));
        functions.push(names::relation(&relations));
        functions
    }

    /// The OID of a table or of a view of `public`.
    pub(crate) fn oid_of(&self, schema: &str, name: &str) -> Option<i32> {
        self.relations.find(schema, name)
    }
}

/// Takes the schema out again. It knows the catalog that it is in, so the two would keep each
/// other, and the engine behind them, for ever.
pub(crate) fn deregister(context: &SessionContext) -> Result<()> {
    catalog(context)?.deregister_schema(SCHEMA, true)?;
    Ok(())
}

fn catalog(context: &SessionContext) -> Result<Arc<dyn CatalogProvider>> {
    context
        .catalog(DATABASE)
        .ok_or_else(|| internal_datafusion_err!("the database is not registered"))
}

fn extended(
    inner: Arc<dyn TableProvider>,
    relations: Arc<Relations>,
    extra: impl Extra,
) -> Arc<dyn TableProvider> {
    Arc::new(ComputedTable(Extended { inner, relations, extra }))
}

/// datafusion-pg-catalog's schema with some of its tables replaced.
#[derive(Debug)]
struct PgCatalog {
    inner: Arc<dyn SchemaProvider>,
    relations: Arc<Relations>,
    roles: Arc<Roles>,
    sessions: Arc<Sessions>,
}

#[async_trait]
impl SchemaProvider for PgCatalog {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.inner.table_names();
        names.push(sessions::NAME.to_owned());
        names.extend(View::ALL.map(|view| view.name().to_owned()));
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if name == sessions::NAME {
            return Ok(Some(Arc::clone(&self.sessions) as Arc<dyn TableProvider>));
        }
        let relations = Arc::clone(&self.relations);
        if let Some(view) = View::ALL.into_iter().find(|view| view.name() == name) {
            return Ok(Some(Arc::new(ComputedTable(IndexView { view, relations }))));
        }
        let Some(inner) = self.inner.table(name).await? else { return Ok(None) };
        let roles = Arc::clone(&self.roles);
        Ok(Some(match name {
            "pg_attribute" => Arc::new(ComputedTable(Attributes { inner, relations })),
            "pg_description" => Arc::new(ComputedTable(Descriptions { inner, relations })),
            "pg_roles" => Arc::new(RoleTable { inner, roles, row_is: RowIs::Role }),
            "pg_authid" => Arc::new(RoleTable { inner, roles, row_is: RowIs::Secret }),
            "pg_auth_members" => Arc::new(RoleTable { inner, roles, row_is: RowIs::Membership }),
            "pg_type" => {
                let types = PgTypes { inner, relations: Arc::clone(&relations) };
                let owners = Owners { column: "typowner", roles };
                extended(Arc::new(ComputedTable(types)), relations, owners)
            }
            "pg_proc" => Arc::new(ComputedTable(Procedures { inner, relations })),
            "pg_class" => {
                let with_indexes = extended(inner, Arc::clone(&relations), keys::Classes);
                let with_views = extended(with_indexes, Arc::clone(&relations), views::Classes);
                extended(with_views, relations, Owners { column: "relowner", roles })
            }
            "pg_namespace" => extended(inner, relations, views::Namespaces),
            "pg_index" => extended(inner, relations, keys::Indexes),
            "pg_constraint" => extended(inner, relations, keys::Constraints),
            "pg_depend" => {
                let with_keys = extended(inner, Arc::clone(&relations), keys::Dependencies);
                extended(with_keys, relations, views::Dependencies)
            }
            "pg_rewrite" => extended(inner, relations, views::Rules),
            "pg_am" => extended(inner, relations, keys::AccessMethods),
            "pg_extension" => extended(inner, relations, keys::Extensions),
            _ => inner,
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        name == sessions::NAME
            || View::ALL.iter().any(|view| view.name() == name)
            || self.inner.table_exist(name)
    }
}
