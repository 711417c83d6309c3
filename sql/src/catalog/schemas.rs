//! The schemas as DataFusion sees them: `public` with the engine's tables and `vigil_catalog`
//! with the system tables. Both are read only.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::error::Result;

use super::{StandardTable, system};
use crate::Engine;
use crate::access::VisibleTable;

/// The schema `public`.
#[derive(Debug)]
pub(crate) struct PublicSchema {
    pub(crate) engine: Arc<dyn Engine>,
}

fn standard_table(name: &str) -> Option<StandardTable> {
    StandardTable::ALL.into_iter().find(|table| table.name() == name)
}

#[async_trait]
impl SchemaProvider for PublicSchema {
    fn table_names(&self) -> Vec<String> {
        StandardTable::ALL.iter().map(ToString::to_string).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(standard_table(name).map(|table| {
            Arc::new(VisibleTable::new(table, self.engine.table(table))) as Arc<dyn TableProvider>
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        standard_table(name).is_some()
    }
}

/// The schema `vigil_catalog`.
#[derive(Debug)]
pub(crate) struct SystemSchema {
    pub(crate) engine: Arc<dyn Engine>,
}

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        system::all().iter().map(|table| table.name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let table = system::all().into_iter().find(|table| table.name == name);
        Ok(table.map(|table| table.provider(Arc::clone(&self.engine))))
    }

    fn table_exist(&self, name: &str) -> bool {
        system::all().iter().any(|table| table.name == name)
    }
}
