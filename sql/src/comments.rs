//! What `COMMENT ON` has said of tables and columns, in one file. What nobody has said anything of
//! has the comment that it came with.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::SqlError;

/// The file's name, beside that of the roles.
const FILE: &str = "comments.json";

/// A table and perhaps a column of it, as `schema.table.column`.
type Object = String;

/// A comment before and after; the inner `None` is one that was taken away.
#[derive(Debug)]
pub(crate) struct Said {
    object: Object,
    before: Option<Option<String>>,
    after: Option<String>,
}

/// All comments of a database.
#[derive(Debug, Default)]
pub(crate) struct Comments {
    file: Option<PathBuf>,
    /// `None` is a comment that was taken away.
    said: Mutex<BTreeMap<Object, Option<String>>>,
}

impl Comments {
    /// Those in the folder of the roles' file; without one they live as long as the database.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub(crate) fn open(roles_file: Option<&Path>) -> Result<Self, SqlError> {
        let Some(file) = roles_file.map(|roles| roles.with_file_name(FILE)) else {
            return Ok(Self::default());
        };
        let said = match fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| failed(&file, "read", &error.to_string()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(failed(&file, "read", &error.to_string())),
        };
        Ok(Self { file: Some(file), said: Mutex::new(said) })
    }

    /// The comment of a table or a column, which came with `own`.
    pub(crate) fn of(
        &self,
        schema: &str,
        table: &str,
        column: Option<&str>,
        own: &str,
    ) -> Option<String> {
        match self.lock().get(&object(schema, table, column)) {
            Some(said) => said.clone(),
            None => Some(own.to_owned()),
        }
    }

    /// `COMMENT ON … IS`.
    ///
    /// # Errors
    /// When the file cannot be written; then nothing has changed.
    pub(crate) fn say(
        &self,
        schema: &str,
        table: &str,
        column: Option<&str>,
        comment: Option<&str>,
    ) -> Result<Said, SqlError> {
        let (object, after) = (object(schema, table, column), comment.map(str::to_owned));
        let mut said = self.lock();
        let mut changed = said.clone();
        let before = changed.insert(object.clone(), after.clone());
        self.keep(&mut said, changed)?;
        Ok(Said { object, before, after })
    }

    /// Takes a comment back, unless somebody has said another one since.
    ///
    /// # Errors
    /// Those of [`Comments::say`].
    pub(crate) fn take_back(&self, said: &Said) -> Result<(), SqlError> {
        let mut all = self.lock();
        if all.get(&said.object) != Some(&said.after) {
            return Ok(());
        }
        let mut changed = all.clone();
        match &said.before {
            Some(before) => changed.insert(said.object.clone(), before.clone()),
            None => changed.remove(&said.object),
        };
        self.keep(&mut all, changed)
    }

    fn keep(
        &self,
        said: &mut BTreeMap<Object, Option<String>>,
        changed: BTreeMap<Object, Option<String>>,
    ) -> Result<(), SqlError> {
        if let Some(file) = &self.file {
            let text = serde_json::to_vec_pretty(&changed)
                .map_err(|error| failed(file, "write", &error.to_string()))?;
            crate::roles::replace_file(file, &text)
                .map_err(|error| failed(file, "write", &error.to_string()))?;
        }
        *said = changed;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Object, Option<String>>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn object(schema: &str, table: &str, column: Option<&str>) -> Object {
    match column {
        Some(column) => format!("{schema}.{table}.{column}"),
        None => format!("{schema}.{table}"),
    }
}

fn failed(path: &Path, verb: &str, why: &str) -> SqlError {
    SqlError::Query {
        sqlstate: "58030",
        message: format!("could not {verb} the comments in \"{}\"", path.display()),
        detail: Some(format!("{why}.")),
        hint: None,
    }
}
