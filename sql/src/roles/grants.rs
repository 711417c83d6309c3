//! What was granted, and what follows from it.

use std::collections::BTreeSet;

use super::{ADMIN, OPERATOR, PUBLIC, READER, RoleMap};
use crate::database::DEFAULT_SCHEMA;

/// The right to read something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grant {
    /// All rows of a table: schema and name.
    Table(String, String),
    /// All rows of all tables of a schema.
    Schema(String),
    /// The rows of a source, in every table.
    Source(String),
}

/// Which rows of a table somebody sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Every one.
    All,
    /// Those of these sources.
    OfSources(BTreeSet<String>),
}

/// What somebody may do, by all that was granted to them and to the roles they are a member of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Privileges {
    /// May manage roles, and stop others.
    pub(crate) is_admin: bool,
    /// May register and drop sources.
    pub(crate) is_operator: bool,
    is_reader: bool,
    grants: BTreeSet<Grant>,
    /// The roles that all this comes from, themselves among them.
    pub(crate) roles: BTreeSet<String>,
}

impl Privileges {
    /// Those of whoever owns the process.
    pub(crate) fn of_owner() -> Self {
        Self { is_admin: true, is_operator: true, is_reader: true, ..Self::default() }
    }

    pub(super) fn of(roles: &RoleMap, user: &str) -> Self {
        let mut privileges = Self::default();
        let mut next = vec![user, PUBLIC];
        while let Some(name) = next.pop() {
            let Some(role) = roles.get(name) else { continue };
            if privileges.roles.insert(name.to_owned()) {
                privileges.grants.extend(role.grants.iter().cloned());
                next.extend(role.member_of.iter().map(String::as_str));
            }
        }
        let is = |name| privileges.roles.contains(name);
        let (is_admin, is_operator, is_reader) = (is(ADMIN), is(OPERATOR), is(READER));
        Self { is_admin, is_operator, is_reader, ..privileges }
    }

    /// The rows of a table that they see; `None` is not even that there are any.
    pub(crate) fn rows_of(&self, schema: &str, table: &str) -> Option<Rows> {
        let all = self.is_reader
            || self.grants.contains(&Grant::Schema(schema.to_owned()))
            || self.grants.contains(&Grant::Table(schema.to_owned(), table.to_owned()));
        if all {
            return Some(Rows::All);
        }
        let sources: BTreeSet<String> = self
            .grants
            .iter()
            .filter_map(|grant| match grant {
                Grant::Source(name) => Some(name.clone()),
                Grant::Table(..) | Grant::Schema(_) => None,
            })
            .collect();
        (!sources.is_empty()).then_some(Rows::OfSources(sources))
    }

    /// Whether they see what the frames of a source show: as a reader of everything, or by a grant on the
    /// source or on the schema with all tables. One on the table `frames` is about its rows alone.
    pub(crate) fn may_see_pictures_of(&self, source: &str) -> bool {
        self.is_reader
            || self.grants.contains(&Grant::Source(source.to_owned()))
            || self.grants.contains(&Grant::Schema(DEFAULT_SCHEMA.to_owned()))
    }

    /// Whether they see anything at all.
    pub(crate) fn may_read_something(&self) -> bool {
        self.is_reader || !self.grants.is_empty()
    }
}

/// Whether making `member` a member of `group` closes a circle.
pub(crate) fn would_be_circular(roles: &RoleMap, group: &str, member: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = vec![group];
    while let Some(name) = next.pop() {
        if name == member {
            return true;
        }
        let Some(role) = roles.get(name) else { continue };
        if seen.insert(name) {
            next.extend(role.member_of.iter().map(String::as_str));
        }
    }
    false
}

impl Rows {
    /// Whether a row of this source is among them.
    pub(crate) fn has(&self, source: &str) -> bool {
        match self {
            Self::All => true,
            Self::OfSources(sources) => sources.contains(source),
        }
    }
}
