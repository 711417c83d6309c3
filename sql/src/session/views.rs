//! Views in a statement: each that it names is planned and put into the schema `public` for it, temporary ones
//! into a schema before that.
//!
//! A view's tables are read with the rights of who made it, as PostgreSQL does: who may read the view needs
//! no right to them. Somebody to whom sources alone were granted sees the rows of those sources.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    SchemaProvider, TableProvider,
};
use datafusion::datasource::ViewTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::{self, visit_relations};
use futures::future::BoxFuture;
use vigil_udfs::json::json_as_text;

use super::{duplicates, joins, names, origins};
use crate::SqlError;
use crate::access::{Access, OwnedTable, Via, denied_table};
use crate::database::{DATABASE, DEFAULT_SCHEMA};
use crate::dialect::{self, with_deep_stack};
use crate::planner;
use crate::roles::{Roles, Rows};
use crate::views::{Named, SEARCHED, TEMPORARY, View, ViewMap, ViewName, temporary_schema};

/// Views as they are now, whose rights they have, and the session that asks.
#[derive(Clone, Debug)]
pub(super) struct ViewPlanner {
    pub(super) views: Arc<ViewMap>,
    pub(super) roles: Arc<Roles>,
    pub(super) session: i32,
}

impl ViewPlanner {
    /// The state with the views that `statement` names; the same where it names none.
    ///
    /// # Errors
    /// Whatever keeps a view from being planned.
    pub(super) async fn state_for(
        &self,
        state: SessionState,
        statement: &ast::Statement,
    ) -> Result<SessionState, SqlError> {
        if self.views.is_empty() {
            return Ok(state);
        }
        let named = with_deep_stack(|| relations(statement));
        let views: BTreeSet<ViewName> =
            named.iter().filter_map(|named| named.view(&self.views, self.session)).collect();
        if views.is_empty() {
            return Ok(state);
        }
        let mut planned = BTreeMap::new();
        for name in views {
            if let Some(view) = self.views.get(&name) {
                let provider = self.planned(&state, &name, view, None).await?;
                planned.insert(name, provider);
            }
        }
        with_views(state, planned, None)
    }

    /// A view, read by the view `reader` or by the statement.
    fn planned<'a>(
        &'a self,
        state: &'a SessionState,
        name: &'a ViewName,
        view: &'a View,
        reader: Option<Arc<Via>>,
    ) -> BoxFuture<'a, Result<Arc<dyn TableProvider>, SqlError>> {
        Box::pin(async move {
            let owner = match &view.owner {
                None => Access::of_owner(Arc::clone(&self.roles)),
                Some(role) => Access::of_role(Arc::clone(&self.roles), role),
            };
            let via = Arc::new(Via { view: name.clone(), owner, reader });
            // A view with tables below it is looked at where those are read.
            if view.reads.is_empty()
                && let Some(access) = state.config().get_extension::<Access>()
                && via.rows_for(&access)? != Rows::All
            {
                return Err(denied_table(&name.name));
            }
            let mut statement = dialect::parse_made(&view.query)?;
            let mut inner = BTreeMap::new();
            for read in with_deep_stack(|| relations(&statement)) {
                // A view of itself can only come from a file that somebody has written.
                let read = read.view_in(&self.views, name, view).filter(|read| read != name);
                if let Some(read) = read
                    && let Some(read_view) = self.views.get(&read)
                {
                    let reader = Some(Arc::clone(&via));
                    let provider = self.planned(state, &read, read_view, reader).await?;
                    inner.insert(read, provider);
                }
            }
            let state = with_views(state.clone(), inner, Some(via))?;
            joins::mend(&mut statement, &state).await?;
            with_deep_stack(|| prepare(&mut statement));
            let statement = DataFusionStatement::Statement(statement);
            let plan = json_as_text(planner::plan(&state, statement).await?)?;
            let plan = under_names(plan, view)?;
            Ok(Arc::new(ViewTable::new(plan, Some(view.query.clone()))) as Arc<dyn TableProvider>)
        })
    }
}

/// What is done to every query before it is planned.
fn prepare(statement: &mut ast::Statement) {
    names::order_by_positions(statement);
    names::order_by_expressions(statement);
    duplicates::tell_apart(statement);
}

/// The names that a statement has and that may be views, perhaps of queries in `WITH` too.
pub(super) fn relations(statement: &ast::Statement) -> BTreeSet<Named> {
    let mut found = BTreeSet::new();
    let _: ControlFlow<()> = visit_relations(statement, |name| {
        found.extend(Named::of(name));
        ControlFlow::Continue(())
    });
    found
}

/// The plan's columns under the view's names. A column that a query's `*` has gained since is not the view's.
fn under_names(plan: LogicalPlan, view: &View) -> Result<LogicalPlan, SqlError> {
    let schema = Arc::clone(plan.schema());
    let fields: Vec<_> = schema.iter().collect();
    let columns = view.columns.iter().enumerate().map(|(at, column)| {
        let is_it = |place: &usize| {
            fields.get(*place).is_some_and(|(_, field)| *field.name() == column.from)
        };
        let place = Some(at)
            .filter(is_it)
            .or_else(|| (0..fields.len()).find(is_it))
            .or_else(|| (at < fields.len()).then_some(at));
        let (qualifier, field) = place.and_then(|place| fields.get(place)).ok_or_else(|| {
            DataFusionError::Plan(format!("the view's column {} is not there", column.name))
        })?;
        let mark = Some(origins::mark_of_view(view.oid));
        Ok(Expr::from((*qualifier, *field)).alias_qualified(mark, &column.name))
    });
    let columns = columns.collect::<Result<Vec<Expr>>>()?;
    Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
}

/// The state with `views`, and with the tables of `public` read by way of the view `via`.
fn with_views(
    state: SessionState,
    views: BTreeMap<ViewName, Arc<dyn TableProvider>>,
    via: Option<Arc<Via>>,
) -> Result<SessionState, SqlError> {
    let known = state.catalog_list().catalog(DATABASE);
    let Some(known) = known else { return Ok(state) };
    let (mut public, mut temporary, mut session) = (Providers::new(), Providers::new(), None);
    for (ViewName { session: of, name }, provider) in views {
        session = session.or(of);
        let schema = if of.is_some() { &mut temporary } else { &mut public };
        schema.insert(name, provider);
    }
    let catalog = MemoryCatalogProvider::new();
    for name in known.schema_names() {
        let Some(mut schema) = known.schema(&name) else { continue };
        if name == DEFAULT_SCHEMA {
            let (views, via) = (public.clone(), via.clone());
            schema = Arc::new(WithViews { inner: Some(schema), views, via });
        }
        catalog.register_schema(&name, schema)?;
    }
    let searched = state.config_options().catalog.default_schema.clone();
    if let Some(session) = session {
        let schema = |inner| WithViews { inner, views: temporary.clone(), via: None };
        let own = Arc::new(schema(None));
        catalog.register_schema(&temporary_schema(session), Arc::clone(&own) as _)?;
        catalog.register_schema(TEMPORARY, own)?;
        let before = schema(catalog.schema(&searched));
        catalog.register_schema(SEARCHED, Arc::new(before))?;
    }
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(DATABASE.into(), Arc::new(catalog));
    let builder = SessionStateBuilder::new_from_existing(state);
    let mut state = builder.with_catalog_list(Arc::new(catalogs)).build();
    if session.is_some() {
        state.config_mut().options_mut().catalog.default_schema = SEARCHED.into();
    }
    Ok(state)
}

/// What views give, by their names in a schema.
type Providers = BTreeMap<String, Arc<dyn TableProvider>>;

/// A schema with views.
#[derive(Debug)]
struct WithViews {
    inner: Option<Arc<dyn SchemaProvider>>,
    views: Providers,
    via: Option<Arc<Via>>,
}

#[async_trait]
impl SchemaProvider for WithViews {
    fn table_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.views.keys().cloned().collect();
        names.extend(self.inner.iter().flat_map(|inner| inner.table_names()));
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(view) = self.views.get(name) {
            return Ok(Some(Arc::clone(view)));
        }
        let Some(inner) = &self.inner else { return Ok(None) };
        let table = inner.table(name).await?;
        Ok(match (table, &self.via) {
            (Some(table), Some(via)) => {
                Some(Arc::new(OwnedTable::new(table, name, Arc::clone(via))))
            }
            (table, _) => table,
        })
    }

    fn table_exist(&self, name: &str) -> bool {
        self.views.contains_key(name)
            || self.inner.as_ref().is_some_and(|inner| inner.table_exist(name))
    }
}
