//! Our own statements: one file each, one line in [`all`].
//!
//! A statement's file has its documentation, its grammar and what it asks of the engine. The
//! reference page is made from the documentation, and its examples are run by a test.

mod alter_role;
mod comment;
mod create_extension;
mod create_index;
mod create_model;
mod create_role;
mod create_source;
mod drop_index;
mod drop_model;
mod drop_role;
mod drop_source;
mod grant;
mod reindex;
mod revoke;
mod role_options;
mod show_create_model;
mod show_create_source;
mod show_models;
mod show_sources;
mod wait_for_source;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;

use crate::access::Access;
use crate::activity::Activity;
use crate::comments::Comments;
use crate::dialect::Cursor;
use crate::roles::Roles;
use crate::session::undo::Change;
use crate::views::Views;
use crate::{Engine, Notice, SqlError};

/// What is written about a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementDoc {
    /// The statement's name, in capitals.
    pub name: &'static str,
    /// Its grammar, as PostgreSQL's manual writes them.
    pub syntax: &'static str,
    /// What it does, whole sentences in markdown.
    pub description: &'static str,
    /// Statements that show it, each with a semicolon.
    pub example: &'static str,
}

/// A statement of ours, read and ready to run.
#[async_trait]
pub(crate) trait OwnStatement: Debug + Send + Sync {
    /// PostgreSQL's command tag, such as `CREATE SOURCE`.
    fn tag(&self) -> &'static str;

    /// The columns of its answer; `None` when it has none.
    fn schema(&self) -> Option<SchemaRef> {
        None
    }

    /// Whether it tells of sources, so that somebody who may see nothing may not run it.
    fn tells(&self) -> bool {
        true
    }

    /// What it is called in the refusal when it cannot be part of a transaction; `None` where it can.
    fn stands_alone(&self) -> Option<&'static str> {
        None
    }

    /// Does it. The answer has rows exactly when [`OwnStatement::schema`] has columns.
    async fn run(&self, context: &Context<'_>) -> Result<Answer, SqlError>;
}

/// What a statement works with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// The engine as the session sees it.
    pub(crate) engine: &'a dyn Engine,
    /// Who the session is.
    pub(crate) access: &'a Access,
    pub(crate) roles: &'a Roles,
    pub(crate) activity: &'a Activity,
    pub(crate) comments: &'a Comments,
    pub(crate) views: &'a Views,
    /// The pid of the session.
    pub(crate) session: i32,
    /// What `ROLLBACK` takes back of the statement.
    pub(crate) change: &'a Mutex<Change>,
}

impl Context<'_> {
    /// Ends the sessions of a role, as what they may has changed for good.
    fn end_sessions_of(&self, role: &str) {
        for backend in self.activity.all() {
            if backend.acts_for(role) {
                backend.terminate();
            }
        }
    }
}

/// What a statement of ours answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Rows.
    Rows(RecordBatch),
    /// Nothing but its tag and these notices.
    Done(Vec<Notice>),
}

/// A statement's place in the list: the words it begins with, its documentation, its grammar.
struct Definition {
    begins_with: &'static [&'static str],
    doc: &'static StatementDoc,
    /// Called behind the words of `begins_with`.
    parse: fn(&mut Cursor) -> Result<Arc<dyn OwnStatement>, SqlError>,
}

fn all() -> [Definition; 19] {
    [
        create_source::definition(),
        drop_source::definition(),
        show_sources::definition(),
        show_create_source::definition(),
        wait_for_source::definition(),
        create_model::definition(),
        drop_model::definition(),
        show_models::definition(),
        show_create_model::definition(),
        create_index::definition(),
        drop_index::definition(),
        reindex::definition(),
        create_extension::definition(),
        create_role::definition(),
        alter_role::definition(),
        drop_role::definition(),
        grant::definition(),
        revoke::definition(),
        comment::definition(),
    ]
}

/// Other words for statements of [`all`].
fn aliases() -> [Definition; 3] {
    [create_role::as_user(), alter_role::as_user(), drop_role::as_user()]
}

/// What is written about each statement of ours, in the order of the reference page.
pub fn docs() -> Vec<&'static StatementDoc> {
    all().iter().map(|definition| definition.doc).collect()
}

/// The statement at the cursor if it is one of ours.
pub(crate) fn parse(cursor: &mut Cursor) -> Result<Option<Arc<dyn OwnStatement>>, SqlError> {
    let Some(definition) = all()
        .into_iter()
        .chain(aliases())
        .find(|definition| cursor.begins_with(definition.begins_with))
    else {
        return Ok(None);
    };
    cursor.expect(definition.begins_with)?;
    let statement = (definition.parse)(cursor)?;
    cursor.expect_end()?;
    Ok(Some(statement))
}

/// The error for a source that is not there.
fn unknown_source(engine: &dyn Engine, name: &str) -> SqlError {
    let sources = engine.sources();
    let nearest = sources
        .iter()
        .map(|source| (strsim::damerau_levenshtein(&source.name, name), &source.name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, near)| *distance <= near.chars().count().max(3) / 3);
    SqlError::Invalid {
        sqlstate: "42704",
        message: format!("source \"{name}\" does not exist"),
        hint: match nearest {
            Some((_, near)) => Some(format!("Perhaps you meant \"{near}\".")),
            None => Some("SHOW SOURCES lists the sources.".into()),
        },
        position: None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_documented() {
        let docs = docs();
        let names: BTreeSet<_> = docs.iter().map(|doc| doc.name).collect();
        assert_eq!(names.len(), docs.len());
        for doc in docs {
            assert!(doc.syntax.starts_with(doc.name), "{}", doc.name);
            assert!(doc.example.contains(doc.name), "{}", doc.name);
            assert!(doc.description.ends_with('.'), "{}", doc.name);
        }
    }
}
