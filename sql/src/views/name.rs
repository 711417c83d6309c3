//! The names of views: where one is kept, and what a statement calls it.

use std::fmt;

use datafusion::sql::sqlparser::ast::ObjectName;

use super::{View, ViewMap};
use crate::database::{DATABASE, DEFAULT_SCHEMA};

/// The schema of a session's temporary views as the session calls it.
pub(crate) const TEMPORARY: &str = "pg_temp";

/// The same as the catalog has it.
pub(crate) fn temporary_schema(session: i32) -> String {
    format!("{TEMPORARY}_{session}")
}

/// The schema that a statement with temporary views looks names up in: those views, then the session's own.
pub(crate) const SEARCHED: &str = "pg_temp, public";

/// Whose temporary views a statement sees, in its session's configuration: the session's pid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeesTemporary(pub(crate) i32);

/// A view of `public`, or a temporary one of a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ViewName {
    /// The pid of the session whose temporary view it is; `None` is a view of `public`.
    pub(crate) session: Option<i32>,
    pub(crate) name: String,
}

impl ViewName {
    pub(crate) fn public(name: &str) -> Self {
        Self { session: None, name: name.to_owned() }
    }

    pub(crate) fn temporary(session: i32, name: &str) -> Self {
        Self { session: Some(session), name: name.to_owned() }
    }

    /// The schema that it is in.
    pub(crate) fn schema(&self) -> String {
        self.session.map_or_else(|| DEFAULT_SCHEMA.to_owned(), temporary_schema)
    }
}

/// `schema.name`.
impl fmt::Display for ViewName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema(), self.name)
    }
}

/// What a statement calls a relation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Named {
    /// A name alone: a temporary view, or what is in `public`.
    Alone(String),
    /// Something in `public`.
    Public(String),
    /// With a schema of temporary views.
    Temporary { schema: String, name: String },
}

impl Named {
    /// What may be a view; `None` is a name in another schema.
    pub(crate) fn new(path: &[&str]) -> Option<Self> {
        match path {
            [name] => Some(Self::Alone((*name).to_owned())),
            [DEFAULT_SCHEMA, name] | [DATABASE, DEFAULT_SCHEMA, name] => {
                Some(Self::Public((*name).to_owned()))
            }
            [schema, name] if is_temporary(schema) => {
                Some(Self::Temporary { schema: (*schema).to_owned(), name: (*name).to_owned() })
            }
            _ => None,
        }
    }

    /// The same for a name in a statement.
    pub(crate) fn of(name: &ObjectName) -> Option<Self> {
        let parts = name.0.iter().map(|part| {
            let ident = part.as_ident()?;
            let is_quoted = ident.quote_style.is_some();
            Some(if is_quoted { ident.value.clone() } else { ident.value.to_lowercase() })
        });
        let parts = parts.collect::<Option<Vec<String>>>()?;
        Self::new(&parts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub(crate) fn name(&self) -> &str {
        let (Self::Alone(name) | Self::Public(name) | Self::Temporary { name, .. }) = self;
        name
    }

    /// Whether the schema is that of the temporary views of `session`.
    pub(crate) fn is_temporary_of(&self, session: i32) -> bool {
        matches!(self, Self::Temporary { schema, .. }
            if schema == TEMPORARY || *schema == temporary_schema(session))
    }

    /// The view that a statement of `session` means.
    pub(crate) fn view(&self, views: &ViewMap, session: i32) -> Option<ViewName> {
        self.found(Some(session), |found| views.contains_key(found))
    }

    /// The view that the query of a view means: a temporary one only if it was one when the query was
    /// written.
    pub(crate) fn view_in(
        &self,
        views: &ViewMap,
        reader: &ViewName,
        view: &View,
    ) -> Option<ViewName> {
        self.found(reader.session, |found| {
            views.contains_key(found)
                && (found.session.is_none() || view.reads.contains(&found.to_string()))
        })
    }

    fn found(
        &self,
        session: Option<i32>,
        is_there: impl Fn(&ViewName) -> bool,
    ) -> Option<ViewName> {
        let public = ViewName::public(self.name());
        let temporary = session.map(|session| ViewName::temporary(session, self.name()));
        let found = match self {
            Self::Alone(_) => [temporary, Some(public)],
            Self::Public(_) => [Some(public), None],
            Self::Temporary { .. } => [
                temporary.filter(|found| found.session.is_some_and(|of| self.is_temporary_of(of))),
                None,
            ],
        };
        found.into_iter().flatten().find(is_there)
    }
}

fn is_temporary(schema: &str) -> bool {
    schema.strip_prefix(TEMPORARY).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;

    fn view(reads: &[&ViewName]) -> Arc<View> {
        let reads: BTreeSet<String> = reads.iter().map(ToString::to_string).collect();
        let (query, columns) = (String::new(), Vec::new());
        Arc::new(View { oid: 1, owner: None, query, columns, reads, comment: None })
    }

    #[test]
    fn a_temporary_view_comes_before_one_of_public() {
        let (public, own, other) =
            (ViewName::public("v"), ViewName::temporary(7, "v"), ViewName::temporary(8, "v"));
        let mut views = ViewMap::from([(public.clone(), view(&[])), (other, view(&[]))]);
        let named = |path: &[&str]| Named::new(path).expect("may be a view");
        let alone = named(&["v"]);
        assert_eq!(alone.view(&views, 7), Some(public.clone()));
        views.insert(own.clone(), view(&[&public]));
        assert_eq!(alone.view(&views, 7), Some(own.clone()));
        for (path, found) in [
            (["public", "v"], Some(&public)),
            (["pg_temp", "v"], Some(&own)),
            (["pg_temp_7", "v"], Some(&own)),
            (["pg_temp_8", "v"], None),
        ] {
            assert_eq!(named(&path).view(&views, 7).as_ref(), found, "{path:?}");
        }
        assert_eq!(Named::new(&["pg_catalog", "v"]), None);
        // It reads what was there before it.
        assert_eq!(alone.view_in(&views, &own, &view(&[&public])), Some(public.clone()));
        assert_eq!(alone.view_in(&views, &own, &view(&[&own])), Some(own));
        assert_eq!(alone.view_in(&views, &public, &view(&[])), Some(public));
    }
}
