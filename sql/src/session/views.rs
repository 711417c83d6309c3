//! Views in a statement: each that it names is planned and put into the schema `public` for it.
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
use datafusion::sql::sqlparser::ast::{self, ObjectName, visit_relations};
use futures::future::BoxFuture;
use vigil_udfs::json::json_as_text;

use super::{duplicates, names};
use crate::SqlError;
use crate::access::{Access, OwnedTable, denied};
use crate::database::{DATABASE, DEFAULT_SCHEMA};
use crate::dialect::{self, with_deep_stack};
use crate::roles::{Roles, Rows};
use crate::views::{View, ViewMap};

/// Views as they are now, and whose rights they have.
#[derive(Clone, Debug)]
pub(super) struct ViewPlanner {
    pub(super) views: Arc<ViewMap>,
    pub(super) roles: Arc<Roles>,
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
        let named = with_deep_stack(|| relations(statement));
        let named: BTreeSet<&String> =
            self.views.keys().filter(|name| named.contains(*name)).collect();
        if named.is_empty() {
            return Ok(state);
        }
        let mut planned = BTreeMap::new();
        for name in named {
            if let Some(view) = self.views.get(name) {
                planned.insert(name.clone(), self.planned(&state, name, view, name).await?);
            }
        }
        with_views(state, planned, None)
    }

    /// A view, read by way of the view `via`, which is it or a view that reads it.
    fn planned<'a>(
        &'a self,
        state: &'a SessionState,
        name: &'a str,
        view: &'a View,
        via: &'a str,
    ) -> BoxFuture<'a, Result<Arc<dyn TableProvider>, SqlError>> {
        Box::pin(async move {
            // A view with tables below it is looked at where those are read.
            let access = state.config().get_extension::<Access>();
            if name == via
                && let Some(access) = access
                && access.rows_of(DEFAULT_SCHEMA, name)? != Rows::All
                && view.reads.is_empty()
            {
                return Err(denied(format!("permission denied for table {name}"), None));
            }
            let mut statement = dialect::parse_made(&view.query)?;
            let mut inner = BTreeMap::new();
            for read in with_deep_stack(|| relations(&statement)) {
                // A view of itself can only come from a file that somebody has written.
                if let Some(read_view) = self.views.get(&read).filter(|_| read != name) {
                    inner.insert(read.clone(), self.planned(state, &read, read_view, via).await?);
                }
            }
            let owner = match &view.owner {
                None => Access::of_owner(Arc::clone(&self.roles)),
                Some(role) => Access::of_role(Arc::clone(&self.roles), role),
            };
            let owned = Owned { owner: Arc::new(owner), via: via.to_owned() };
            let state = with_views(state.clone(), inner, Some(owned))?;
            with_deep_stack(|| prepare(&mut statement));
            let statement = DataFusionStatement::Statement(statement);
            let plan = json_as_text(state.statement_to_plan(statement).await?)?;
            let plan = under_names(plan, view)?;
            Ok(Arc::new(ViewTable::new(plan, Some(view.query.clone()))) as Arc<dyn TableProvider>)
        })
    }
}

/// What is done to every query before it is planned.
fn prepare(statement: &mut ast::Statement) {
    names::order_by_positions(statement);
    duplicates::tell_apart(statement);
}

/// The names of tables in `public` that a statement has, perhaps of queries in `WITH` too.
pub(super) fn relations(statement: &ast::Statement) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let _: ControlFlow<()> = visit_relations(statement, |name| {
        found.extend(of_public(name));
        ControlFlow::Continue(())
    });
    found
}

/// The name of something in `public`.
pub(super) fn of_public(name: &ObjectName) -> Option<String> {
    let parts = name.0.iter().map(|part| {
        let ident = part.as_ident()?;
        let is_quoted = ident.quote_style.is_some();
        Some(if is_quoted { ident.value.clone() } else { ident.value.to_lowercase() })
    });
    let parts = parts.collect::<Option<Vec<String>>>()?;
    match parts.as_slice() {
        [name] => Some(name.clone()),
        [schema, name] if schema == DEFAULT_SCHEMA => Some(name.clone()),
        [catalog, schema, name] if catalog == DATABASE && schema == DEFAULT_SCHEMA => {
            Some(name.clone())
        }
        _ => None,
    }
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
        Ok(Expr::from((*qualifier, *field)).alias(&column.name))
    });
    let columns = columns.collect::<Result<Vec<Expr>>>()?;
    Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
}

/// Whose rights the tables of a view are read with, and the view that lets others read them.
#[derive(Clone, Debug)]
struct Owned {
    owner: Arc<Access>,
    via: String,
}

/// The state with `views` in `public`, and with its tables read as `owned` says.
fn with_views(
    state: SessionState,
    views: BTreeMap<String, Arc<dyn TableProvider>>,
    owned: Option<Owned>,
) -> Result<SessionState, SqlError> {
    let known = state.catalog_list().catalog(DATABASE);
    let Some(known) = known else { return Ok(state) };
    let catalog = MemoryCatalogProvider::new();
    for name in known.schema_names() {
        let Some(schema) = known.schema(&name) else { continue };
        let schema = match name.as_str() {
            DEFAULT_SCHEMA => {
                Arc::new(WithViews { inner: schema, views: views.clone(), owned: owned.clone() })
            }
            _ => {
                catalog.register_schema(&name, schema)?;
                continue;
            }
        };
        catalog.register_schema(&name, schema)?;
    }
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(DATABASE.into(), Arc::new(catalog));
    Ok(SessionStateBuilder::new_from_existing(state).with_catalog_list(Arc::new(catalogs)).build())
}

/// The schema `public` with views.
#[derive(Debug)]
struct WithViews {
    inner: Arc<dyn SchemaProvider>,
    views: BTreeMap<String, Arc<dyn TableProvider>>,
    owned: Option<Owned>,
}

#[async_trait]
impl SchemaProvider for WithViews {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.inner.table_names();
        names.extend(self.views.keys().cloned());
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(view) = self.views.get(name) {
            return Ok(Some(Arc::clone(view)));
        }
        let table = self.inner.table(name).await?;
        Ok(match (table, &self.owned) {
            (Some(table), Some(owned)) => {
                let (owner, via) = (Arc::clone(&owned.owner), owned.via.clone());
                Some(Arc::new(OwnedTable::new(table, name, owner, via)))
            }
            (table, _) => table,
        })
    }

    fn table_exist(&self, name: &str) -> bool {
        self.views.contains_key(name) || self.inner.table_exist(name)
    }
}
