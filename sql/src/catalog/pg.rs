//! The schema `pg_catalog`: datafusion-pg-catalog's, with what it does not know about our tables
//! put right.

use datafusion::error::Result;
use datafusion::prelude::SessionContext;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::setup_pg_catalog;

use crate::database::DATABASE;

/// Registers the schema and the functions that its users call.
pub(crate) fn register(context: &SessionContext) -> Result<()> {
    setup_pg_catalog(context, DATABASE, EmptyContextProvider).map_err(|error| *error)?;
    Ok(())
}
