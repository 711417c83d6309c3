//! A prepared statement is planned again when a view that it reads has changed, as PostgreSQL does it.
//!
//! It knows the views that there were when it was planned. Once there are others it is read again, to see whether
//! those that it names are among them, and planned again if so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use datafusion::sql::sqlparser::ast;

use super::catalog_query::in_deep_stack;
use super::command::Command;
use super::origins::ORIGIN_KEY;
use super::{Prepared, Session, views};
use crate::SqlError;
use crate::dialect::{self, Statement, StatementKind, with_deep_stack};
use crate::views::{Named, View, ViewMap, ViewName};

/// The views that a statement was last looked at with, and its plan if that was made since it was prepared.
#[derive(Debug)]
pub(super) struct Seen(Mutex<(Arc<ViewMap>, Option<Arc<Prepared>>)>);

impl Seen {
    pub(super) fn new(views: Arc<ViewMap>) -> Self {
        Self(Mutex::new((views, None)))
    }

    fn get(&self) -> (Arc<ViewMap>, Option<Arc<Prepared>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, views: Arc<ViewMap>, newest: Option<Arc<Prepared>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (views, newest);
    }
}

impl Session {
    /// The statement as its views are now, if that is another plan than the first.
    ///
    /// # Errors
    /// SQLSTATE 0A000 when its columns are others than the client was told, and whatever keeps it from being
    /// planned, such as a view that is gone.
    pub(super) async fn newest(
        &self,
        prepared: &Prepared,
    ) -> Result<Option<Arc<Prepared>>, SqlError> {
        let Some(seen) = &prepared.seen else { return Ok(None) };
        let (before, newest) = seen.get();
        let now = self.database.views().all();
        if Arc::ptr_eq(&before, &now) {
            return Ok(newest);
        }
        // In a box and on another stack, as most runs plan nothing and threads' stacks are small.
        let planning = Box::pin(self.planned_again(prepared, newest, (&before, &now)));
        let newest = in_deep_stack(planning).await?;
        seen.put(now, newest.clone());
        Ok(newest)
    }

    async fn planned_again(
        &self,
        prepared: &Prepared,
        newest: Option<Arc<Prepared>>,
        (before, now): (&ViewMap, &ViewMap),
    ) -> Result<Option<Arc<Prepared>>, SqlError> {
        let mut statements = dialect::parse(&prepared.text)?;
        let [statement] = statements.as_mut_slice() else { return Ok(newest) };
        if self.views_of(statement, before) == self.views_of(statement, now) {
            return Ok(newest);
        }
        statement.declare_forms(&prepared.forms);
        let types = prepared.parameters.iter();
        let types: Vec<_> = types.map(|field| Some(field.as_ref()?.data_type().clone())).collect();
        let again = self.try_prepare(statement, &types).await;
        let again = again.map_err(|error| statement.located(error))?;
        if !are_alike(prepared.schema.as_ref(), again.schema.as_ref()) {
            return Err(SqlError::Invalid {
                sqlstate: "0A000",
                message: "cached plan must not change result type".into(),
                hint: Some("Prepare it again.".into()),
                position: None,
            });
        }
        Ok(Some(Arc::new(again)))
    }

    /// The views that a statement reads, also by way of others.
    fn views_of(&self, statement: &Statement, views: &ViewMap) -> BTreeMap<ViewName, SameView> {
        let session = self.backend.pid();
        let named = query_of(statement).map(|query| with_deep_stack(|| views::relations(query)));
        let mut open: Vec<Named> = named.into_iter().flatten().collect();
        let mut found = BTreeMap::new();
        while let Some(named) = open.pop() {
            if let Some(name) = named.view(views, session)
                && let Some(view) = views.get(&name)
                && found.insert(name, SameView(Arc::clone(view))).is_none()
            {
                let reads = view.reads.iter().filter_map(|read| read.split_once('.'));
                open.extend(reads.filter_map(|(schema, name)| Named::new(&[schema, name])));
            }
        }
        found
    }
}

/// A view that is equal to itself alone.
struct SameView(Arc<View>);

impl PartialEq for SameView {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

fn query_of(statement: &Statement) -> Option<&ast::Statement> {
    match statement.kind() {
        StatementKind::Ordinary(query) | StatementKind::Catalog { planned: query, .. } => {
            Some(query)
        }
        StatementKind::Command(Command::Declare(declare)) => Some(&declare.query),
        StatementKind::Command(Command::Copy(copy)) => Some(&copy.query),
        StatementKind::Own(_) | StatementKind::Command(_) => None,
    }
}

/// Whether a client sees the same columns; where they come from may be another view of that name.
fn are_alike(one: Option<&SchemaRef>, other: Option<&SchemaRef>) -> bool {
    let columns = |schema: Option<&SchemaRef>| {
        let fields = schema.map(|schema| schema.fields().clone()).unwrap_or_default();
        let told = fields.iter().map(|field| {
            let mut metadata = field.metadata().clone();
            metadata.remove(ORIGIN_KEY);
            (field.name().clone(), field.data_type().clone(), metadata)
        });
        told.collect::<Vec<_>>()
    };
    columns(one) == columns(other)
}
