//! Views: queries with a name, kept in one file beside that of the roles.
//!
//! What is kept is the query as it was written; it is planned anew for each statement that names the view
//! (`session/views.rs`), so a view shows the tables as they are at that moment. Temporary views are among them
//! but not in the file; they go with their session.

mod name;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

pub(crate) use self::name::{
    Named, SEARCHED, SeesTemporary, TEMPORARY, ViewName, temporary_schema,
};

use crate::SqlError;
use crate::access::{Access, denied};

/// The file's name, beside that of the roles.
const FILE: &str = "views.json";

/// OIDs of views, far from the library's and those of keys and indexes.
const FIRST_OID: i32 = 1_430_000_000;

/// A view.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct View {
    pub(crate) oid: i32,
    /// The role that made it; `None` is whoever owns the process.
    pub(crate) owner: Option<String>,
    /// The query as written.
    pub(crate) query: String,
    pub(crate) columns: Vec<ViewColumn>,
    /// The views and tables that it reads itself, as `schema.name`.
    pub(crate) reads: BTreeSet<String>,
    /// What `COMMENT ON VIEW` said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
}

/// A column of a view.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct ViewColumn {
    pub(crate) name: String,
    /// What the query calls it.
    pub(crate) from: String,
    /// PostgreSQL's OID of its type, and the type's modifier.
    pub(crate) type_oid: i32,
    pub(crate) modifier: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
}

impl View {
    /// Refuses somebody whose view it is not.
    ///
    /// # Errors
    /// SQLSTATE 42501.
    pub(crate) fn refuse_others(&self, name: &str, access: &Access) -> Result<(), SqlError> {
        if self.owner.as_deref() == access.role() || access.privileges()?.is_admin {
            return Ok(());
        }
        Err(denied(format!("must be owner of view {name}"), None))
    }
}

/// Views by their names.
pub(crate) type ViewMap = BTreeMap<ViewName, Arc<View>>;

/// All views of a database.
#[derive(Debug, Default)]
pub(crate) struct Views {
    file: Option<PathBuf>,
    all: Mutex<Arc<ViewMap>>,
}

impl Views {
    /// Those in the folder of the roles' file; without one they live as long as the database.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub(crate) fn open(roles_file: Option<&Path>) -> Result<Self, SqlError> {
        let Some(file) = roles_file.map(|roles| roles.with_file_name(FILE)) else {
            return Ok(Self::default());
        };
        let all: BTreeMap<String, View> = match fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| failed(&file, "read", &error.to_string()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(failed(&file, "read", &error.to_string())),
        };
        let all = all.into_iter().map(|(name, view)| (ViewName::public(&name), Arc::new(view)));
        let all = all.collect();
        Ok(Self { file: Some(file), all: Mutex::new(Arc::new(all)) })
    }

    /// All of them as they are now.
    pub(crate) fn all(&self) -> Arc<ViewMap> {
        Arc::clone(&self.lock())
    }

    /// Changes them and keeps what they are then; an error changes nothing.
    ///
    /// # Errors
    /// Those of `change`, and 58030 when the file cannot be written.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut ViewMap) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let mut all = self.lock();
        let mut changed = ViewMap::clone(&all);
        let value = change(&mut changed)?;
        let kept = kept(&changed);
        if let Some(file) = self.file.as_ref().filter(|_| kept != self::kept(&all)) {
            let text = serde_json::to_vec_pretty(&kept)
                .map_err(|error| failed(file, "write", &error.to_string()))?;
            crate::roles::replace_file(file, &text)
                .map_err(|error| failed(file, "write", &error.to_string()))?;
        }
        *all = Arc::new(changed);
        Ok(value)
    }

    fn lock(&self) -> MutexGuard<'_, Arc<ViewMap>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is in the file.
fn kept(views: &ViewMap) -> BTreeMap<&str, &View> {
    let public = views.iter().filter(|(name, _)| name.session.is_none());
    public.map(|(name, view)| (name.name.as_str(), view.as_ref())).collect()
}

/// The number for a new view.
pub(crate) fn next_oid(views: &ViewMap) -> i32 {
    views.values().map(|view| view.oid + 1).max().unwrap_or(0).max(FIRST_OID)
}

/// The views that read `name` themselves.
pub(crate) fn readers(views: &ViewMap, name: &ViewName) -> Vec<ViewName> {
    let read = name.to_string();
    let readers = views.iter().filter(|(_, view)| view.reads.contains(&read));
    readers.map(|(name, _)| name.clone()).collect()
}

fn failed(path: &Path, verb: &str, why: &str) -> SqlError {
    SqlError::Query {
        sqlstate: "58030",
        message: format!("could not {verb} the views in \"{}\"", path.display()),
        detail: Some(format!("{why}.")),
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(oid: i32, reads: &[&str]) -> Arc<View> {
        let reads = reads.iter().map(|name| format!("public.{name}")).collect();
        let query = "SELECT 1".to_owned();
        Arc::new(View { oid, owner: None, query, columns: Vec::new(), reads, comment: None })
    }

    #[test]
    fn views_are_kept_in_the_file() {
        let folder = std::env::temp_dir().join(format!("vigil-views-{}", std::process::id()));
        let roles = folder.join("roles.json");
        let views = Views::open(Some(&roles)).expect("there is none");
        views
            .change(|all| {
                all.insert(ViewName::public("a"), view(next_oid(all), &["frames"]));
                all.insert(ViewName::public("b"), view(next_oid(all), &["a"]));
                all.insert(ViewName::temporary(1, "c"), view(next_oid(all), &["a"]));
                Ok(())
            })
            .expect("is written");
        let refused = views.change(|all| {
            all.clear();
            Err::<(), _>(SqlError::Canceled)
        });
        refused.expect_err("was refused");
        let again = Views::open(Some(&roles)).expect("is read").all();
        assert_eq!(again.keys().map(|name| name.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(kept(&again), kept(&views.all()));
        assert_eq!(readers(&again, &ViewName::public("a")), [ViewName::public("b")]);
        assert_eq!(next_oid(&again), FIRST_OID + 2);
        fs::remove_dir_all(&folder).expect("is removed");
    }
}
