//! `CREATE [OR REPLACE] [TEMPORARY] VIEW`, `DROP VIEW`, `ALTER VIEW … RENAME TO`.
//!
//! They take effect at once, and `ROLLBACK` takes them back (`session/undo.rs`).

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    self, Ident, ObjectName, TableAlias, TableFactor, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::Command;
use crate::access::denied;
use crate::catalog::StandardTable;
use crate::catalog::pg::postgres_type;
use crate::catalog::system::SYSTEM_SCHEMA;
use crate::database::DEFAULT_SCHEMA;
use crate::dialect::{self, Cursor, Postgres, with_deep_stack};
use crate::roles::Grant;
use crate::session::classify::{Kind, classify};
use crate::session::prepare::Action;
use crate::session::undo::Change;
use crate::session::{Outcome, Session, views};
use crate::views::{Named, View, ViewColumn, ViewMap, ViewName, next_oid, readers};
use crate::{Notice, SqlError};

/// One of the statements.
#[derive(Clone, Debug)]
pub(crate) enum ViewCommand {
    Create(Box<Create>),
    Drop { names: Vec<Named>, if_exists: bool, cascade: bool },
    Rename { name: Named, to: String, if_exists: bool, tag: &'static str },
}

/// `CREATE VIEW`.
#[derive(Clone, Debug)]
pub(crate) struct Create {
    name: Named,
    lasts: Lasts,
    replaces: bool,
    columns: Vec<String>,
    text: String,
    query: Box<ast::Statement>,
}

/// How long a view is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lasts {
    UntilDropped,
    /// As long as the session at most.
    Session,
}

pub(super) fn parse_create(cursor: &mut Cursor) -> Result<Command, SqlError> {
    create(cursor, false, Lasts::UntilDropped)
}

pub(super) fn parse_replace(cursor: &mut Cursor) -> Result<Command, SqlError> {
    create(cursor, true, Lasts::UntilDropped)
}

pub(super) fn parse_temporary(cursor: &mut Cursor) -> Result<Command, SqlError> {
    create(cursor, false, Lasts::Session)
}

pub(super) fn parse_replace_temporary(cursor: &mut Cursor) -> Result<Command, SqlError> {
    create(cursor, true, Lasts::Session)
}

fn create(cursor: &mut Cursor, replaces: bool, lasts: Lasts) -> Result<Command, SqlError> {
    let name = name(cursor)?;
    let mut columns = Vec::new();
    if cursor.accept_sign(&Token::LParen) {
        columns.push(cursor.identifier()?);
        while cursor.accept_sign(&Token::Comma) {
            columns.push(cursor.identifier()?);
        }
        cursor.expect_sign(&Token::RParen)?;
    }
    cursor.expect(&["as"])?;
    let tokens = cursor.rest();
    let text = cursor.text_of(tokens).to_owned();
    let query = dialect::parse_part(tokens, cursor.lines())?;
    Ok(Command::View(ViewCommand::Create(Box::new(Create {
        name,
        lasts,
        replaces,
        columns,
        text,
        query,
    }))))
}

pub(super) fn parse_drop(cursor: &mut Cursor) -> Result<Command, SqlError> {
    let if_exists = cursor.accept(&["if", "exists"]);
    let mut names = vec![name(cursor)?];
    while cursor.accept_sign(&Token::Comma) {
        names.push(name(cursor)?);
    }
    let cascade = cursor.accept(&["cascade"]);
    if !cascade {
        cursor.accept(&["restrict"]);
    }
    Ok(Command::View(ViewCommand::Drop { names, if_exists, cascade }))
}

pub(super) fn parse_alter_view(cursor: &mut Cursor) -> Result<Command, SqlError> {
    rename(cursor, "ALTER VIEW")
}

/// PostgreSQL takes a view for a table here.
pub(super) fn parse_alter_table(cursor: &mut Cursor) -> Result<Command, SqlError> {
    rename(cursor, "ALTER TABLE")
}

fn rename(cursor: &mut Cursor, tag: &'static str) -> Result<Command, SqlError> {
    let if_exists = cursor.accept(&["if", "exists"]);
    let name = name(cursor)?;
    if !cursor.accept(&["rename", "to"]) {
        return Err(SqlError::Unsupported {
            what: tag.into(),
            hint: Some("A view can be given another name with RENAME TO.".into()),
        });
    }
    let to = cursor.identifier()?;
    Ok(Command::View(ViewCommand::Rename { name, to, if_exists, tag }))
}

/// The name of a view, perhaps with its schema and database.
fn name(cursor: &mut Cursor) -> Result<Named, SqlError> {
    let mut path = vec![cursor.identifier()?];
    while cursor.accept_sign(&Token::Period) {
        path.push(cursor.identifier()?);
    }
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    Named::new(&path).ok_or_else(|| match path.as_slice() {
        [schema @ (SYSTEM_SCHEMA | "pg_catalog" | "information_schema"), _] => {
            denied(format!("permission denied for schema {schema}"), None)
        }
        path => no_schema(&path[..path.len() - 1].join(".")),
    })
}

fn no_schema(name: &str) -> SqlError {
    let hint = "Views are in the schema \"public\".";
    invalid("3F000", format!("schema \"{name}\" does not exist"), Some(hint))
}

fn invalid(sqlstate: &'static str, message: String, hint: Option<&str>) -> SqlError {
    SqlError::Invalid { sqlstate, message, hint: hint.map(str::to_owned), position: None }
}

impl Session {
    pub(super) async fn run_view(&mut self, command: &ViewCommand) -> Result<Outcome, SqlError> {
        let mut change = Change::default();
        let outcome = match command {
            ViewCommand::Create(create) => self.create_view(create, &mut change).await,
            ViewCommand::Drop { names, if_exists, cascade } => {
                self.drop_views(names, *if_exists, *cascade, &mut change)
            }
            ViewCommand::Rename { name, to, if_exists, tag } => {
                self.rename_view(name, to, *if_exists, tag, &mut change)
            }
        }?;
        self.note(change);
        Ok(outcome)
    }

    async fn create_view(
        &mut self,
        create: &Create,
        change: &mut Change,
    ) -> Result<Outcome, SqlError> {
        let session = self.backend.pid();
        let Kind::Query(query, _) = with_deep_stack(|| classify(&create.query))? else {
            return Err(SqlError::Unsupported {
                what: "a view of what is no query".into(),
                hint: Some("Write SELECT or VALUES.".into()),
            });
        };
        let named = with_deep_stack(|| views::relations(&create.query));
        let (name, notice) = self.place_for(create, &named)?;
        let prepared = self.prepare_query(query, "SELECT", &[]).await?;
        if !prepared.parameters.is_empty() {
            return Err(invalid("42P02", "there is no parameter $1".into(), None));
        }
        let (Action::Query { plan, .. }, Some(schema)) = (&prepared.action, &prepared.schema)
        else {
            return Err(SqlError::Unsupported { what: "a view of this query".into(), hint: None });
        };
        if create.columns.len() > schema.fields().len() {
            let message = "CREATE VIEW specifies more column names than columns";
            return Err(invalid("42601", message.into(), None));
        }
        let columns = schema.fields().iter().zip(plan.schema().fields()).enumerate();
        let mut columns: Vec<ViewColumn> = columns
            .map(|(at, (field, planned))| {
                let (type_oid, modifier) = postgres_type(field).unwrap_or((TEXT_OID, -1));
                let name = create.columns.get(at).unwrap_or_else(|| field.name()).clone();
                let from = planned.name().clone();
                ViewColumn { name, from, type_oid, modifier, comment: None }
            })
            .collect();
        let mut seen = BTreeSet::new();
        if let Some(twice) = columns.iter().find(|column| !seen.insert(&column.name)) {
            let message = format!("column \"{}\" specified more than once", twice.name);
            return Err(invalid("42701", message, Some("Give each column a name with AS.")));
        }
        let owner = self.access.role().map(str::to_owned);
        let query = create.text.clone();
        self.database.views().change(|all| {
            change.views(all, |all| {
                let tables = named.iter().filter(|named| is_table(named));
                let tables = tables.map(|named| ViewName::public(named.name()));
                let read: BTreeSet<ViewName> =
                    named.iter().filter_map(|named| named.view(all, session)).collect();
                let reads =
                    read.iter().cloned().chain(tables).map(|name| name.to_string()).collect();
                let (oid, owner, comment) = match all.get(&name) {
                    None => (next_oid(all), owner, None),
                    Some(_) if !create.replaces => {
                        let message = format!("relation \"{}\" already exists", name.name);
                        let hint = "CREATE OR REPLACE VIEW puts another query in its place.";
                        return Err(invalid("42P07", message, Some(hint)));
                    }
                    Some(old) => {
                        refuse_other_columns(&old.columns, &columns)?;
                        let within = closure(all, [name.clone()]);
                        if !within.is_disjoint(&read) {
                            let message = format!(
                                "infinite recursion detected in rules for relation \"{}\"",
                                name.name
                            );
                            return Err(invalid("42P17", message, None));
                        }
                        for (column, old) in columns.iter_mut().zip(&old.columns) {
                            column.comment.clone_from(&old.comment);
                        }
                        (old.oid, old.owner.clone(), old.comment.clone())
                    }
                };
                let view = View { oid, owner, query, columns, reads, comment };
                all.insert(name, Arc::new(view));
                Ok(())
            })
        })?;
        Ok(Outcome::done("CREATE VIEW", notice))
    }

    /// Where a view is to be; a notice if that is not where the statement says.
    fn place_for(
        &self,
        create: &Create,
        named: &BTreeSet<Named>,
    ) -> Result<(ViewName, Option<Notice>), SqlError> {
        let (session, name) = (self.backend.pid(), create.name.name());
        match &create.name {
            Named::Temporary { schema, .. } if !create.name.is_temporary_of(session) => {
                return Err(no_schema(schema));
            }
            Named::Temporary { .. } => return Ok((ViewName::temporary(session, name), None)),
            Named::Public(_) if create.lasts == Lasts::Session => {
                let message = "cannot create temporary relation in non-temporary schema";
                return Err(invalid("42P16", message.into(), None));
            }
            Named::Alone(_) | Named::Public(_) => {}
        }
        let all = self.database.views().all();
        let mut read = named.iter().filter_map(|named| named.view(&all, session));
        if create.lasts == Lasts::Session {
            return Ok((ViewName::temporary(session, name), None));
        }
        if read.any(|read| read.session.is_some()) {
            let message = format!("view \"{name}\" will be a temporary view");
            let notice = Notice::new("00000", message);
            return Ok((ViewName::temporary(session, name), Some(notice)));
        }
        if !self.access.privileges()?.is_admin {
            let hint = "Only members of vigil_admin may create views that stay.";
            return Err(denied("permission denied for schema public".into(), Some(hint)));
        }
        self.refuse_other_relation(name, create.replaces)?;
        Ok((ViewName::public(name), None))
    }

    /// Refuses a name that another relation has.
    fn refuse_other_relation(&self, name: &str, replaces: bool) -> Result<(), SqlError> {
        let is_table = is_standard(name);
        if is_table && replaces {
            return Err(invalid("42809", format!("\"{name}\" is not a view"), None));
        }
        let indexes = self.database.engine().indexes();
        if is_table || indexes.iter().any(|index| index.name == name) {
            return Err(invalid("42P07", format!("relation \"{name}\" already exists"), None));
        }
        Ok(())
    }

    fn drop_views(
        &mut self,
        names: &[Named],
        if_exists: bool,
        cascade: bool,
        change: &mut Change,
    ) -> Result<Outcome, SqlError> {
        let (mut notices, session) = (Vec::new(), self.backend.pid());
        let gone = self.database.views().change(|all| {
            change.views(all, |all| {
                let mut wanted = BTreeSet::new();
                for named in names {
                    let name = named.name();
                    match named.view(all, session) {
                        Some(found) => {
                            if let Some(view) = all.get(&found) {
                                view.refuse_others(name, &self.access)?;
                            }
                            wanted.insert(found);
                        }
                        None if is_table(named) => {
                            let message = format!("\"{name}\" is not a view");
                            return Err(invalid("42809", message, None));
                        }
                        None if if_exists => {
                            let message = format!("view \"{name}\" does not exist, skipping");
                            notices.push(Notice::new("00000", message));
                        }
                        None => {
                            let message = format!("view \"{name}\" does not exist");
                            let hint = "psql's \\dv lists the views.";
                            return Err(invalid("42P01", message, Some(hint)));
                        }
                    }
                }
                let gone = closure(all, wanted.clone());
                let more: Vec<&ViewName> = gone.difference(&wanted).collect();
                if !more.is_empty() && !cascade {
                    return Err(depended_on(all, &wanted, &more));
                }
                notices.extend(cascaded(&more));
                gone.iter().for_each(|name| drop(all.remove(name)));
                Ok(gone)
            })
        })?;
        // A view of the same name that is made later is another one.
        self.database.roles().change(|roles| {
            change.grants(roles, |roles| {
                for role in roles.values_mut() {
                    role.grants.retain(|grant| {
                        !matches!(grant, Grant::Table(schema, name)
                            if schema == DEFAULT_SCHEMA && gone.contains(&ViewName::public(name)))
                    });
                }
            });
            Ok(())
        })?;
        Ok(Outcome::done("DROP VIEW", notices))
    }

    fn rename_view(
        &mut self,
        named: &Named,
        to: &str,
        if_exists: bool,
        tag: &str,
        change: &mut Change,
    ) -> Result<Outcome, SqlError> {
        let mut notices = Vec::new();
        let (session, name) = (self.backend.pid(), named.name());
        let renamed = self.database.views().change(|all| {
            change.views(all, |all| {
                let found = named.view(all, session);
                if found.is_none() && is_table(named) {
                    return Err(denied(format!("must be owner of table {name}"), None));
                }
                let (Some(found), Some(view)) =
                    (&found, found.as_ref().and_then(|found| all.get(found).cloned()))
                else {
                    let message = format!("relation \"{name}\" does not exist");
                    if !if_exists {
                        return Err(invalid("42P01", message, None));
                    }
                    notices.push(Notice::new("00000", format!("{message}, skipping")));
                    return Ok(None);
                };
                view.refuse_others(name, &self.access)?;
                let new = ViewName { session: found.session, name: to.to_owned() };
                if found.session.is_none() {
                    self.refuse_other_relation(to, false)?;
                }
                if all.contains_key(&new) {
                    let message = format!("relation \"{to}\" already exists");
                    return Err(invalid("42P07", message, None));
                }
                for name in readers(all, found) {
                    let Some(mut reader) = all.get(&name).cloned() else { continue };
                    let is_it =
                        |named: &Named| named.view_in(all, &name, &reader).as_ref() == Some(found);
                    let query = with_new_name(&reader.query, &is_it, to)?;
                    let changed = Arc::make_mut(&mut reader);
                    changed.query = query;
                    changed.reads.remove(&found.to_string());
                    changed.reads.insert(new.to_string());
                    all.insert(name, reader);
                }
                all.remove(found);
                all.insert(new, view);
                Ok(Some(found.clone()))
            })
        })?;
        if renamed.is_some_and(|found| found.session.is_none()) {
            self.database.roles().change(|roles| {
                let grant = |name: &str| Grant::Table(DEFAULT_SCHEMA.into(), name.to_owned());
                change.grants(roles, |roles| {
                    for role in roles.values_mut() {
                        if role.grants.remove(&grant(name)) {
                            role.grants.insert(grant(to));
                        }
                    }
                });
                Ok(())
            })?;
        }
        Ok(Outcome::done(tag, notices))
    }
}

fn is_standard(name: &str) -> bool {
    StandardTable::ALL.iter().any(|table| table.name() == name)
}

/// Whether it is one of the tables that are always there, where no view is meant.
fn is_table(named: &Named) -> bool {
    !matches!(named, Named::Temporary { .. }) && is_standard(named.name())
}

/// PostgreSQL's OID of `text`.
const TEXT_OID: i32 = 25;

/// PostgreSQL lets a view gain columns at its end and nothing else.
fn refuse_other_columns(old: &[ViewColumn], new: &[ViewColumn]) -> Result<(), SqlError> {
    if new.len() < old.len() {
        return Err(invalid("42P16", "cannot drop columns from view".into(), None));
    }
    for (old, new) in old.iter().zip(new) {
        if old.name != new.name {
            let message =
                format!("cannot change name of view column \"{}\" to \"{}\"", old.name, new.name);
            let hint = "DROP VIEW and CREATE VIEW make one with other columns.";
            return Err(invalid("42P16", message, Some(hint)));
        }
        if old.type_oid != new.type_oid {
            let message = format!("cannot change data type of view column \"{}\"", old.name);
            return Err(invalid("42P16", message, None));
        }
    }
    Ok(())
}

/// The views of `names`, and all that read one of them.
fn closure(all: &ViewMap, names: impl IntoIterator<Item = ViewName>) -> BTreeSet<ViewName> {
    let mut found = BTreeSet::new();
    let mut open: Vec<ViewName> = names.into_iter().collect();
    while let Some(name) = open.pop() {
        if !found.contains(&name) {
            open.extend(readers(all, &name));
            found.insert(name);
        }
    }
    found
}

fn depended_on(all: &ViewMap, wanted: &BTreeSet<ViewName>, dependents: &[&ViewName]) -> SqlError {
    let lines = dependents.iter().map(|dependent| {
        let reads = |name: &&ViewName| readers(all, name).contains(dependent);
        let mut known = wanted.iter().chain(dependents.iter().copied());
        let read = known.find(reads).map_or("", |read| read.name.as_str());
        format!("view {} depends on view {read}", dependent.name)
    });
    let what = match wanted.first() {
        Some(one) if wanted.len() == 1 => {
            format!("view {} because other objects depend on it", one.name)
        }
        _ => "desired object(s) because other objects depend on them".to_owned(),
    };
    SqlError::Query {
        sqlstate: "2BP01",
        message: format!("cannot drop {what}"),
        detail: Some(lines.collect::<Vec<_>>().join("\n")),
        hint: Some("Use DROP ... CASCADE to drop the dependent objects too.".into()),
    }
}

fn cascaded(more: &[&ViewName]) -> Option<Notice> {
    match more {
        [] => None,
        [one] => Some(Notice::new("00000", format!("drop cascades to view {}", one.name))),
        more => {
            Some(Notice::new("00000", format!("drop cascades to {} other objects", more.len())))
        }
    }
}

/// A query that reads a view as one that reads it by the name `to`; its columns may go on naming the view as
/// before.
fn with_new_name(
    query: &str,
    is_it: &dyn Fn(&Named) -> bool,
    to: &str,
) -> Result<String, SqlError> {
    struct Renamer<'a>(&'a dyn Fn(&Named) -> bool, &'a str);

    impl VisitorMut for Renamer<'_> {
        type Break = ();

        fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { name, alias, args: None, .. } = table
                && let Some(named) = Named::of(name).filter(|named| (self.0)(named))
            {
                if alias.is_none() {
                    let name = Ident::with_quote('"', named.name());
                    *alias =
                        Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
                }
                *name = ObjectName::from(vec![Ident::with_quote('"', self.1)]);
            }
            ControlFlow::Continue(())
        }
    }

    let dialect = Postgres::for_text(query);
    with_deep_stack(|| {
        let broken = || invalid("XX000", "the query of a view is none".into(), None);
        let mut parser = Parser::new(&dialect).try_with_sql(query).map_err(|_| broken())?;
        let mut statement = parser.parse_statement().map_err(|_| broken())?;
        let _ = statement.visit(&mut Renamer(is_it, to));
        Ok(statement.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_of_a_renamed_view_reads_the_same_one() {
        let is_v = |named: &Named| *named == Named::Public("v".into());
        let query =
            with_new_name("SELECT v.a FROM public.v, t AS v2", &is_v, "w").expect("is a query");
        assert_eq!(query, "SELECT v.a FROM \"w\" AS \"v\", t AS v2");
    }

    #[test]
    fn a_view_may_gain_columns_alone() {
        let column = |name: &str, type_oid| ViewColumn {
            name: name.into(),
            from: name.into(),
            type_oid,
            modifier: -1,
            comment: None,
        };
        let old = [column("a", 20)];
        refuse_other_columns(&old, &[column("a", 20), column("b", 25)]).expect("has one more");
        for new in [vec![], vec![column("b", 20)], vec![column("a", 25)]] {
            assert_eq!(
                refuse_other_columns(&old, &new).expect_err("is another").sqlstate(),
                "42P16"
            );
        }
    }
}
