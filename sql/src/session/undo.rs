//! What a transaction block, or a string of statements without one, has done to views, so that `ROLLBACK` takes it
//! back: views themselves, what was granted on them, and comments; and the indexes that it made. Others see the
//! change meanwhile, as they see a source at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::FutureExt;

use super::Session;
use crate::SqlError;
use crate::comments::Said;
use crate::database::{DEFAULT_SCHEMA, Database};
use crate::roles::{Grant, RoleMap};
use crate::views::{View, ViewMap, ViewName};

/// What one statement changes. It is noted while nobody else can change anything, so that it is nobody
/// else's.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// Savepoints that there were.
    depth: usize,
    views: Vec<ViewChange>,
    taken: BTreeSet<(String, Grant)>,
    given: BTreeSet<(String, Grant)>,
    comments: Vec<Said>,
    /// The names of indexes that were made.
    indexes: Vec<String>,
}

/// A view before and after; `None` is one that is not there.
#[derive(Debug)]
struct ViewChange {
    name: ViewName,
    before: Option<Arc<View>>,
    after: Option<Arc<View>>,
}

impl Change {
    /// Does something to views and notes what it was.
    ///
    /// # Errors
    /// Those of `change`.
    pub(crate) fn views<T>(
        &mut self,
        all: &mut ViewMap,
        change: impl FnOnce(&mut ViewMap) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let before = all.clone();
        let value = change(all)?;
        let names: BTreeSet<&ViewName> = before.keys().chain(all.keys()).collect();
        for name in names {
            let (before, after) = (before.get(name).cloned(), all.get(name).cloned());
            if !is_same(before.as_ref(), after.as_ref()) {
                self.views.push(ViewChange { name: name.clone(), before, after });
            }
        }
        Ok(value)
    }

    /// Notes what was said of a table or a column.
    pub(crate) fn comment(&mut self, said: Said) {
        self.comments.push(said);
    }

    /// Notes that an index was made.
    pub(crate) fn made_index(&mut self, name: String) {
        self.indexes.push(name);
    }

    fn is_empty(&self) -> bool {
        let Self { depth: _, views, taken, given, comments, indexes } = self;
        views.is_empty()
            && taken.is_empty()
            && given.is_empty()
            && comments.is_empty()
            && indexes.is_empty()
    }

    /// The same of grants.
    pub(super) fn grants(&mut self, roles: &mut RoleMap, change: impl FnOnce(&mut RoleMap)) {
        let before = grants(roles);
        change(roles);
        let after = grants(roles);
        self.taken.extend(before.difference(&after).cloned());
        self.given.extend(after.difference(&before).cloned());
    }
}

fn is_same(one: Option<&Arc<View>>, other: Option<&Arc<View>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

/// The changes of a block, in their order.
#[derive(Debug, Default)]
pub(super) struct Undo(Vec<Change>);

impl Undo {
    /// Notes what a statement of a block has changed.
    fn note(&mut self, change: Change, depth: usize) {
        if !change.is_empty() {
            self.0.push(Change { depth, ..change });
        }
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
            for name in &change.indexes {
                // The engine only takes it off a list. One that somebody has dropped is gone already.
                let dropped = database.engine().drop_index(name).now_or_never();
                if !matches!(dropped, Some(Ok(()))) {
                    tracing::debug!(name, "an index that was taken back had gone");
                }
            }
            // What somebody else has done since stays.
            for said in change.comments.iter().rev() {
                database.comments().take_back(said)?;
            }
            if change.views.is_empty() {
                continue;
            }
            let mut gone = BTreeSet::new();
            database.views().change(|all| {
                for ViewChange { name, before, after } in &change.views {
                    if !is_same(all.get(name), after.as_ref()) {
                        continue;
                    }
                    match before {
                        Some(view) => drop(all.insert(name.clone(), Arc::clone(view))),
                        None => {
                            all.remove(name);
                            gone.insert(name);
                        }
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
                // A view of the same name that is made later is another one.
                for role in roles.values_mut() {
                    role.grants.retain(|grant| {
                        !matches!(grant, Grant::Table(schema, name)
                            if schema == DEFAULT_SCHEMA && gone.contains(&ViewName::public(name)))
                    });
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

impl Session {
    /// Notes what a statement has changed.
    pub(super) fn note(&mut self, change: Change) {
        if !self.transaction.is_alone() {
            self.undo.note(change, self.transaction.depth());
        }
    }

    /// A statement of a string of several begins.
    pub(crate) fn joins_string(&mut self) {
        self.transaction.join_string(&self.settings);
    }

    /// The string has ended, or `COMMIT` ends what it has done so far.
    pub(crate) fn keeps_string(&mut self) {
        if self.transaction.keep_string(&mut self.settings) {
            self.cursors.commit();
            self.say();
            self.undo.commit();
            self.leave_local_role();
        }
    }

    /// A statement of the string has failed, or `ROLLBACK` takes back what it has done so far.
    ///
    /// # Errors
    /// Those of [`Undo::roll_back`].
    pub(super) fn takes_string_back(&mut self) -> Result<(), SqlError> {
        if self.transaction.take_back_string(&mut self.settings) {
            self.cursors.rollback();
            self.unsaid.clear();
            self.follow_role();
            self.undo.roll_back(None, &self.database)?;
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
