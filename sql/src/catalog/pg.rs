//! The schema `pg_catalog`: datafusion-pg-catalog's, with what it does not know about our tables
//! put right. psql's backslash commands, drivers and BI tools read it.
//!
//! | file | what it adds |
//! | --- | --- |
//! | `relations` | which table an OID is, with its columns and comments |
//! | `attributes` | `pg_attribute` with PostgreSQL's types of our columns, `vector(n)` among them |
//! | `descriptions` | `pg_description` with the comments of our tables and columns |
//! | `functions` | `format_type`, `col_description` and others that clients call |
//! | `names` | `to_regclass`, `to_regtype`, `json_build_object` |
//! | `procedures` | `pg_proc` with Vigil's functions |

mod attributes;
mod descriptions;
mod functions;
mod names;
mod procedures;
mod relations;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::internal_datafusion_err;
use datafusion::error::Result;
use datafusion::prelude::SessionContext;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::setup_pg_catalog;

use self::attributes::Attributes;
use self::descriptions::Descriptions;
use self::procedures::Procedures;
use self::relations::Relations;
use crate::database::DATABASE;

/// The schema's name.
const SCHEMA: &str = "pg_catalog";

/// Registers the schema and the functions that its users call.
pub(crate) fn register(context: &SessionContext) -> Result<()> {
    setup_pg_catalog(context, DATABASE, EmptyContextProvider).map_err(|error| *error)?;
    let catalog = catalog(context)?;
    let inner = catalog
        .schema(SCHEMA)
        .ok_or_else(|| internal_datafusion_err!("pg_catalog is not registered"))?;
    let relations = Arc::new(Relations::read(context, inner.as_ref())?);
    functions::register(context, &relations);
    names::register(context, &relations);
    catalog.register_schema(SCHEMA, Arc::new(PgCatalog { inner, relations }))?;
    Ok(())
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

/// datafusion-pg-catalog's schema with some of its tables replaced.
#[derive(Debug)]
struct PgCatalog {
    inner: Arc<dyn SchemaProvider>,
    relations: Arc<Relations>,
}

#[async_trait]
impl SchemaProvider for PgCatalog {
    fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(inner) = self.inner.table(name).await? else { return Ok(None) };
        let relations = Arc::clone(&self.relations);
        Ok(Some(match name {
            "pg_attribute" => Arc::new(Attributes { inner, relations }),
            "pg_description" => Arc::new(Descriptions { inner, relations }),
            "pg_proc" => Arc::new(Procedures { inner, relations }),
            _ => inner,
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.inner.table_exist(name)
    }
}
