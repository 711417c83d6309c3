//! What a transaction block has done to views, so that `ROLLBACK` takes it back: views themselves and what was
//! granted on them. Others see the change meanwhile, as they see a source at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::database::{DEFAULT_SCHEMA, Database};
use crate::roles::{Grant, RoleMap};
use crate::views::{View, ViewMap};
use crate::{SqlError, TransactionStatus};

/// The views and grants before a statement.
pub(super) struct Before {
    views: Arc<ViewMap>,
    grants: BTreeSet<(String, Grant)>,
}

impl Before {
    pub(super) fn of(database: &Database) -> Self {
        Self { views: database.views().all(), grants: grants(&database.roles().all()) }
    }
}

/// What one statement changed, as it was before.
#[derive(Debug)]
struct Change {
    /// Savepoints that there were.
    depth: usize,
    /// `None` is a view that was not there.
    views: BTreeMap<String, Option<Arc<View>>>,
    taken: BTreeSet<(String, Grant)>,
    given: BTreeSet<(String, Grant)>,
}

/// The changes of a block, in their order.
#[derive(Debug, Default)]
pub(super) struct Undo(Vec<Change>);

impl Undo {
    /// Notes what a statement of a block has changed.
    pub(super) fn note(
        &mut self,
        before: Before,
        database: &Database,
        status: TransactionStatus,
        depth: usize,
    ) {
        if status == TransactionStatus::Idle {
            return;
        }
        let after = Before::of(database);
        let names = before.views.keys().chain(after.views.keys());
        let changed = names.filter(|name| before.views.get(*name) != after.views.get(*name));
        self.0.push(Change {
            depth,
            views: changed.map(|name| (name.clone(), before.views.get(name).cloned())).collect(),
            taken: before.grants.difference(&after.grants).cloned().collect(),
            given: after.grants.difference(&before.grants).cloned().collect(),
        });
    }

    /// The block was committed.
    pub(super) fn commit(&mut self) {
        self.0.clear();
    }

    /// A savepoint and those after it are no more; what was done since belongs to what was before.
    pub(super) fn release(&mut self, savepoint: usize) {
        for change in &mut self.0 {
            change.depth = change.depth.min(savepoint);
        }
    }

    /// Takes back what was done after the savepoint, or with `None` in the whole block.
    ///
    /// # Errors
    /// SQLSTATE 58030 when the files of views or roles cannot be written.
    pub(super) fn roll_back(
        &mut self,
        savepoint: Option<usize>,
        database: &Database,
    ) -> Result<(), SqlError> {
        while self.0.last().is_some_and(|last| savepoint.is_none_or(|at| last.depth > at)) {
            let Some(change) = self.0.pop() else { break };
            database.views().change(|all| {
                for (name, before) in &change.views {
                    match before {
                        Some(view) => drop(all.insert(name.clone(), Arc::clone(view))),
                        None => drop(all.remove(name)),
                    }
                }
                Ok(())
            })?;
            database.roles().change(|roles| {
                for (role, grant) in &change.given {
                    if let Some(role) = roles.get_mut(role) {
                        role.grants.remove(grant);
                    }
                }
                for (role, grant) in &change.taken {
                    if let Some(role) = roles.get_mut(role) {
                        role.grants.insert(grant.clone());
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Who was granted which table or view of `public`.
fn grants(roles: &RoleMap) -> BTreeSet<(String, Grant)> {
    let grants = roles.iter().flat_map(|(name, role)| {
        role.grants.iter().map(move |grant| (name.clone(), grant.clone()))
    });
    grants
        .filter(|(_, grant)| matches!(grant, Grant::Table(schema, _) if schema == DEFAULT_SCHEMA))
        .collect()
}
