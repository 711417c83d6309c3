//! Which table an OID is.
//!
//! datafusion-pg-catalog gives out OIDs the first time that it is asked and keeps them. Our tables
//! are always the same, so they are asked for once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::common::internal_datafusion_err;
use datafusion::error::Result;
use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;
use futures::executor::block_on;

use super::keys::{self, Index};
use crate::access::{Access, VisibleEngine};
use crate::catalog::system::{self, SYSTEM_SCHEMA};
use crate::catalog::{Column, StandardTable};
use crate::comments::Comments;
use crate::database::{DEFAULT_SCHEMA, Kept};
use crate::views::{Named, SeesTemporary, View, ViewMap, ViewName, Views};
use crate::{Engine, IndexBuild};

/// A table or view as `pg_class` has it.
#[derive(Debug)]
pub(super) struct Relation {
    pub(super) name: String,
    pub(super) schema: String,
    /// The table's comment and columns, if it is one of ours.
    pub(super) definition: Option<(&'static str, Vec<Column>)>,
}

/// The relations by OID.
#[derive(Clone, Debug)]
pub(super) struct Relations {
    by_oid: Arc<BTreeMap<i32, Relation>>,
    /// The OID of the schema `public`.
    public: i32,
    engine: Arc<dyn Engine>,
    comments: Arc<Comments>,
    views: Arc<Views>,
    /// The pid of the session whose temporary views are among them.
    session: Option<i32>,
}

/// The OIDs of the views of `information_schema`, which have none in the library.
pub(crate) const INFORMATION_VIEWS: Range<i32> = 13_000..14_000;

/// The OID of the schema of the temporary views that a session sees, its own.
const TEMPORARY_SCHEMA: i32 = 1_429_999_999;

impl Relations {
    /// Asks `pg_catalog` for the OIDs.
    pub(super) fn read(
        context: &SessionContext,
        catalog: &dyn SchemaProvider,
        engine: &Arc<dyn Engine>,
        kept: &Kept<'_>,
    ) -> Result<Self> {
        let schemas: BTreeMap<i32, String> =
            rows(context, catalog, "pg_namespace", ["oid", "nspname"])?
                .into_iter()
                .map(|(oid, name, _)| (oid, name))
                .collect();
        let public = schemas.iter().find(|(_, name)| *name == DEFAULT_SCHEMA);
        let public = public.map_or(0, |(oid, _)| *oid);
        let by_oid = rows(context, catalog, "pg_class", ["oid", "relname", "relnamespace"])?
            .into_iter()
            .filter_map(|(oid, name, schema)| {
                let schema = schemas.get(&schema?)?.clone();
                let definition = definition(&schema, &name);
                Some((oid, Relation { name, schema, definition }))
            })
            .collect();
        let (comments, views) = (Arc::clone(kept.comments), Arc::clone(kept.views));
        let (by_oid, engine, session) = (Arc::new(by_oid), Arc::clone(engine), None);
        Ok(Self { by_oid, public, engine, comments, views, session })
    }

    /// The same with the indexes that a session may see, and with its temporary views.
    pub(super) fn seen_by(&self, access: &Arc<Access>, session: Option<i32>) -> Self {
        let engine = VisibleEngine::new(Arc::clone(&self.engine), Arc::clone(access));
        Self { engine: Arc::new(engine), session, ..self.clone() }
    }

    /// The same for the session of a query.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn seen_in(&self, session: &dyn Session) -> Result<Self> {
        let access = session.config().get_extension::<Access>();
        let access = access.ok_or_else(|| internal_datafusion_err!("a query without a session"))?;
        let session = session.config().get_extension::<SeesTemporary>().map(|sees| sees.0);
        Ok(self.seen_by(&access, session))
    }

    /// The relation with this OID.
    pub(super) fn get(&self, oid: i32) -> Option<&Relation> {
        self.by_oid.get(&oid)
    }

    /// The OID of a relation.
    pub(super) fn find(&self, schema: &str, name: &str) -> Option<i32> {
        let mut all = self.by_oid.iter();
        let found = all.find(|(_, found)| found.schema == schema && found.name == name);
        found.map(|(oid, _)| *oid).or_else(|| {
            let views = self.views();
            let named = Named::new(&[schema, name])?;
            let found = named.view(&views, self.session.unwrap_or_default())?;
            views.get(&found).map(|view| view.oid)
        })
    }

    /// Whether a table or view is found by its name alone.
    pub(super) fn is_visible(&self, oid: i32) -> bool {
        let is_shadowed = |name: &str| {
            let own = self.session.map(|session| ViewName::temporary(session, name));
            own.is_some_and(|own| self.views.all().contains_key(&own))
        };
        match self.get(oid) {
            Some(Relation { schema, name, .. }) => match schema.as_str() {
                DEFAULT_SCHEMA => !is_shadowed(name),
                schema => schema == super::SCHEMA,
            },
            None => match self.views().iter().find(|(_, view)| view.oid == oid) {
                Some((found, _)) => found.session.is_some() || !is_shadowed(&found.name),
                None => !INFORMATION_VIEWS.contains(&oid),
            },
        }
    }

    /// Schema and name of the table or view with this OID.
    pub(super) fn name_of(&self, oid: i32) -> Option<(String, String)> {
        if let Some(found) = self.get(oid) {
            return Some((found.schema.clone(), found.name.clone()));
        }
        let views = self.views();
        let (found, _) = views.iter().find(|(_, view)| view.oid == oid)?;
        Some((found.schema(), found.name.clone()))
    }

    /// Whether a table has that column; PostgreSQL's own are taken to have every one.
    pub(super) fn has_column(&self, schema: &str, table: &str, column: &str) -> bool {
        let relation = self.find(schema, table).and_then(|oid| self.get(oid));
        match relation.and_then(|relation| relation.definition.as_ref()) {
            Some((_, columns)) => columns.iter().any(|found| found.field.name() == column),
            None => true,
        }
    }

    /// The OID of the schema `public`.
    pub(super) fn public(&self) -> i32 {
        self.public
    }

    /// Our own tables: their OIDs and columns.
    pub(super) fn ours(&self) -> impl Iterator<Item = (i32, &[Column])> {
        self.by_oid.iter().filter_map(|(oid, relation)| {
            let (_, columns) = relation.definition.as_ref()?;
            Some((*oid, columns.as_slice()))
        })
    }

    /// The comment of one of our tables or of a view.
    pub(super) fn table_comment(&self, oid: i32) -> Option<String> {
        let Some(relation) = self.get(oid) else { return self.view(oid)?.comment.clone() };
        let (own, _) = relation.definition.as_ref()?;
        self.comments.of(&relation.schema, &relation.name, None, own)
    }

    /// The comment of a column; `number` counts from 1.
    pub(super) fn column_comment(&self, oid: i32, number: i32) -> Option<String> {
        let Some(relation) = self.get(oid) else {
            let at = usize::try_from(number).ok()?.checked_sub(1)?;
            return self.view(oid)?.columns.get(at)?.comment.clone();
        };
        let column = self.column(oid, number)?;
        let name = column.field.name();
        self.comments.of(&relation.schema, &relation.name, Some(name), column.comment)
    }

    /// The views that the session sees: those of `public` and its temporary ones.
    pub(super) fn views(&self) -> Arc<ViewMap> {
        let all = self.views.all();
        let is_seen = |name: &ViewName| name.session.is_none() || name.session == self.session;
        if all.keys().all(is_seen) {
            return all;
        }
        let seen = all.iter().filter(|(name, _)| is_seen(name));
        Arc::new(seen.map(|(name, view)| (name.clone(), Arc::clone(view))).collect())
    }

    /// The name and OID of the schema of its temporary views, once there is one.
    pub(super) fn temporary_schema(&self) -> Option<(String, i32)> {
        let views = self.views();
        let found = views.keys().find(|name| name.session.is_some())?;
        Some((found.schema(), TEMPORARY_SCHEMA))
    }

    /// The OID of a view's schema.
    pub(super) fn schema_of(&self, view: &ViewName) -> i32 {
        if view.session.is_some() { TEMPORARY_SCHEMA } else { self.public }
    }

    fn view(&self, oid: i32) -> Option<Arc<View>> {
        self.views().values().find(|view| view.oid == oid).cloned()
    }

    /// The indexes of our tables.
    pub(super) fn indexes(&self) -> Vec<Index> {
        keys::indexes(self.engine.indexes())
    }

    /// The indexes that are being built.
    pub(super) fn index_builds(&self) -> Vec<IndexBuild> {
        self.engine.index_builds()
    }

    /// The column of one of our tables; `number` counts from 1.
    pub(super) fn column(&self, oid: i32, number: i32) -> Option<&Column> {
        let (_, columns) = self.get(oid)?.definition.as_ref()?;
        columns.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }
}

fn definition(schema: &str, name: &str) -> Option<(&'static str, Vec<Column>)> {
    match schema {
        DEFAULT_SCHEMA => StandardTable::ALL
            .into_iter()
            .find(|table| table.name() == name)
            .map(|table| (table.comment(), table.columns().to_vec())),
        SYSTEM_SCHEMA => system::all()
            .into_iter()
            .find(|table| table.name == name)
            .map(|table| (table.comment, table.columns)),
        _ => None,
    }
}

/// An integer, a text and perhaps another integer of each row of a table in `pg_catalog`.
fn rows<const N: usize>(
    context: &SessionContext,
    catalog: &dyn SchemaProvider,
    table: &str,
    columns: [&str; N],
) -> Result<Vec<(i32, String, Option<i32>)>> {
    // The tables are made in memory; there is nothing here that would have to wait.
    let batches = block_on(async {
        let table = catalog
            .table(table)
            .await?
            .ok_or_else(|| internal_datafusion_err!("pg_catalog has no {table}"))?;
        scan_all(context, table).await
    })?;
    let mut rows = Vec::new();
    for batch in &batches {
        let column = |at: usize| columns.get(at).and_then(|name| batch.column_by_name(name));
        let oids = column(0).and_then(|array| array.as_primitive_opt::<Int32Type>());
        let names = column(1).and_then(|array| array.as_string_opt::<i32>());
        let others = column(2).and_then(|array| array.as_primitive_opt::<Int32Type>());
        let (Some(oids), Some(names)) = (oids, names) else {
            return Err(internal_datafusion_err!("pg_catalog has other columns than expected"));
        };
        for row in 0..batch.num_rows() {
            let other = others.map(|others| others.value(row));
            rows.push((oids.value(row), names.value(row).to_owned(), other));
        }
    }
    Ok(rows)
}

async fn scan_all(
    context: &SessionContext,
    table: Arc<dyn TableProvider>,
) -> Result<Vec<RecordBatch>> {
    let state = context.state();
    let plan = table.scan(&state, None, &[], None).await?;
    collect(plan, state.task_ctx()).await
}
