//! `pg_stat_activity`: a row is a session. Statements of others are shown to `vigil_admin` alone.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::internal_datafusion_err;
use datafusion::datasource::{MemTable, TableType};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

use crate::access::Access;
use crate::activity::{Activity, Backend, Doing};
use crate::database::DATABASE;

/// The table's name.
pub(super) const NAME: &str = "pg_stat_activity";

/// What is shown instead of a statement that is none of one's business; PostgreSQL's words.
const HIDDEN: &str = "<insufficient privilege>";

/// The table.
#[derive(Debug)]
pub(super) struct Sessions {
    schema: SchemaRef,
    activity: Arc<Activity>,
}

impl Sessions {
    pub(super) fn new(activity: Arc<Activity>) -> Self {
        let text = |name| Field::new(name, DataType::Utf8, true);
        let integer = |name| Field::new(name, DataType::Int32, true);
        let time = |name| {
            Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true)
        };
        let schema = Arc::new(Schema::new(vec![
            text("datname"),
            integer("pid"),
            text("usename"),
            text("application_name"),
            text("client_addr"),
            integer("client_port"),
            time("backend_start"),
            time("xact_start"),
            time("query_start"),
            time("state_change"),
            text("wait_event_type"),
            text("wait_event"),
            text("state"),
            text("query"),
            text("backend_type"),
        ]));
        Self { schema, activity }
    }

    fn rows(&self, access: &Access) -> Result<RecordBatch> {
        let privileges =
            access.privileges().map_err(|error| DataFusionError::External(Box::new(error)))?;
        let backends: Vec<(Arc<Backend>, Doing)> = self
            .activity
            .all()
            .into_iter()
            .map(|backend| {
                let mut doing = backend.doing();
                if !privileges.is_admin && doing.role.as_deref() != access.role() {
                    doing.query = HIDDEN.into();
                    doing.address = None;
                }
                (backend, doing)
            })
            .collect();
        let texts = |of: fn(&Doing) -> Option<String>| -> ArrayRef {
            Arc::new(backends.iter().map(|(_, doing)| of(doing)).collect::<StringArray>())
        };
        let times = |of: fn(&Backend, &Doing) -> Option<i64>| -> ArrayRef {
            let micros = backends.iter().map(|(backend, doing)| of(backend, doing));
            Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        };
        let pids = backends.iter().map(|(backend, _)| Some(backend.pid()));
        let ports = backends
            .iter()
            .map(|(_, doing)| doing.address.map(|address| i32::from(address.port())));
        let columns: Vec<ArrayRef> = vec![
            texts(|_| Some(DATABASE.into())),
            Arc::new(pids.collect::<Int32Array>()),
            texts(|doing| Some(doing.user.clone())),
            texts(|doing| Some(doing.application.clone())),
            texts(|doing| doing.address.map(|address| address.ip().to_string())),
            Arc::new(ports.collect::<Int32Array>()),
            times(|backend, _| Some(backend.started_micros())),
            times(|_, doing| doing.transaction_start_micros),
            times(|_, doing| doing.query_start_micros),
            times(|_, doing| Some(doing.state_change_micros)),
            texts(|_| None),
            texts(|_| None),
            texts(|doing| Some(doing.state.name().into())),
            texts(|doing| Some(doing.query.clone())),
            texts(|_| Some("client backend".into())),
        ];
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

#[async_trait]
impl TableProvider for Sessions {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let access = state
            .config()
            .get_extension::<Access>()
            .ok_or_else(|| internal_datafusion_err!("{NAME} is read outside of a session"))?;
        MemTable::try_new(self.schema(), vec![vec![self.rows(&access)?]])?
            .scan(state, projection, filters, limit)
            .await
    }
}
