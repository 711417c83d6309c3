//! `CREATE [OR REPLACE] VIEW`, `DROP VIEW`, `ALTER VIEW … RENAME TO`.
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
use crate::database::{DATABASE, DEFAULT_SCHEMA};
use crate::dialect::{self, Cursor, Postgres, with_deep_stack};
use crate::roles::Grant;
use crate::session::classify::{Kind, classify};
use crate::session::prepare::Action;
use crate::session::undo::Change;
use crate::session::{Outcome, Session, views};
use crate::views::{View, ViewColumn, ViewMap, next_oid, readers};
use crate::{Notice, SqlError};

/// One of the statements.
#[derive(Clone, Debug)]
pub(crate) enum ViewCommand {
    Create(Box<Create>),
    Drop { names: Vec<String>, if_exists: bool, cascade: bool },
    Rename { name: String, to: String, if_exists: bool, tag: &'static str },
}

/// `CREATE VIEW`.
#[derive(Clone, Debug)]
pub(crate) struct Create {
    name: String,
    replaces: bool,
    columns: Vec<String>,
    text: String,
    query: Box<ast::Statement>,
}

pub(super) fn parse_create(cursor: &mut Cursor) -> Result<Command, SqlError> {
    create(cursor, false)
}

pub(super) fn parse_replace(cursor: &mut Cursor) -> Result<Command, SqlError> {
    create(cursor, true)
}

fn create(cursor: &mut Cursor, replaces: bool) -> Result<Command, SqlError> {
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
        replaces,
        columns,
        text,
        query,
    }))))
}

pub(super) fn parse_temporary(_: &mut Cursor) -> Result<Command, SqlError> {
    Err(SqlError::Unsupported {
        what: "CREATE TEMPORARY VIEW".into(),
        hint: Some("Write the query in WITH, or make a view that stays.".into()),
    })
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

/// The name of something in `public`, perhaps with its schema and database.
fn name(cursor: &mut Cursor) -> Result<String, SqlError> {
    let mut path = vec![cursor.identifier()?];
    while cursor.accept_sign(&Token::Period) {
        path.push(cursor.identifier()?);
    }
    let name = path.pop().unwrap_or_default();
    match path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] | [DEFAULT_SCHEMA] | [DATABASE, DEFAULT_SCHEMA] => Ok(name),
        [schema @ (SYSTEM_SCHEMA | "pg_catalog" | "information_schema")] => {
            Err(denied(format!("permission denied for schema {schema}"), None))
        }
        path => {
            let message = format!("schema \"{}\" does not exist", path.join("."));
            Err(invalid("3F000", message, Some("Views are in the schema \"public\".")))
        }
    }
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
                self.rename_view((name, to), *if_exists, tag, &mut change)
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
        if !self.access.privileges()?.is_admin {
            let hint = "Only members of vigil_admin may create views.";
            return Err(denied("permission denied for schema public".into(), Some(hint)));
        }
        self.refuse_other_relation(&create.name, create.replaces)?;
        let Kind::Query(query, _) = with_deep_stack(|| classify(&create.query))? else {
            return Err(SqlError::Unsupported {
                what: "a view of what is no query".into(),
                hint: Some("Write SELECT or VALUES.".into()),
            });
        };
        let named = with_deep_stack(|| views::relations(&create.query));
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
        let (name, query) = (create.name.clone(), create.text.clone());
        self.database.views().change(|all| {
            change.views(all, |all| {
                let exists = |name: &String| {
                    all.contains_key(name) || StandardTable::ALL.iter().any(|t| t.name() == name)
                };
                let reads: BTreeSet<String> = named
                    .iter()
                    .filter(|name| exists(name))
                    .map(|name| format!("{DEFAULT_SCHEMA}.{name}"))
                    .collect();
                let (oid, owner, comment) = match all.get(&name) {
                    None => (next_oid(all), owner, None),
                    Some(_) if !create.replaces => {
                        let message = format!("relation \"{name}\" already exists");
                        let hint = "CREATE OR REPLACE VIEW puts another query in its place.";
                        return Err(invalid("42P07", message, Some(hint)));
                    }
                    Some(old) => {
                        refuse_other_columns(&old.columns, &columns)?;
                        let within = closure(all, [name.clone()]);
                        if named.iter().any(|read| within.contains(read)) {
                            let message = format!(
                                "infinite recursion detected in rules for relation \"{name}\""
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
        Ok(Outcome::done("CREATE VIEW", []))
    }

    /// Refuses a name that another relation has.
    fn refuse_other_relation(&self, name: &str, replaces: bool) -> Result<(), SqlError> {
        let is_table = StandardTable::ALL.iter().any(|table| table.name() == name);
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
        names: &[String],
        if_exists: bool,
        cascade: bool,
        change: &mut Change,
    ) -> Result<Outcome, SqlError> {
        let mut notices = Vec::new();
        let gone = self.database.views().change(|all| {
            change.views(all, |all| {
                let mut wanted = BTreeSet::new();
                for name in names {
                    match all.get(name) {
                        Some(view) => {
                            view.refuse_others(name, &self.access)?;
                            wanted.insert(name.clone());
                        }
                        None if StandardTable::ALL.iter().any(|table| table.name() == name) => {
                            return Err(invalid(
                                "42809",
                                format!("\"{name}\" is not a view"),
                                None,
                            ));
                        }
                        None if if_exists => {
                            let message = format!("view \"{name}\" does not exist, skipping");
                            notices.push(Notice::new("00000", message));
                        }
                        None => {
                            let message = format!("view \"{name}\" does not exist");
                            return Err(invalid(
                                "42P01",
                                message,
                                Some("psql's \\dv lists the views."),
                            ));
                        }
                    }
                }
                let gone = closure(all, wanted.clone());
                let more: Vec<&String> = gone.difference(&wanted).collect();
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
                            if schema == DEFAULT_SCHEMA && gone.contains(name))
                    });
                }
            });
            Ok(())
        })?;
        Ok(Outcome::done("DROP VIEW", notices))
    }

    fn rename_view(
        &mut self,
        (name, to): (&str, &str),
        if_exists: bool,
        tag: &str,
        change: &mut Change,
    ) -> Result<Outcome, SqlError> {
        let mut notices = Vec::new();
        if StandardTable::ALL.iter().any(|table| table.name() == name) {
            return Err(denied(format!("must be owner of table {name}"), None));
        }
        self.refuse_other_relation(to, false)?;
        let is_renamed = self.database.views().change(|all| {
            change.views(all, |all| {
                let Some(view) = all.get(name).cloned() else {
                    let message = format!("relation \"{name}\" does not exist");
                    if !if_exists {
                        return Err(invalid("42P01", message, None));
                    }
                    notices.push(Notice::new("00000", format!("{message}, skipping")));
                    return Ok(false);
                };
                view.refuse_others(name, &self.access)?;
                if all.contains_key(to) {
                    return Err(invalid(
                        "42P07",
                        format!("relation \"{to}\" already exists"),
                        None,
                    ));
                }
                for reader in readers(all, name) {
                    if let Some(reader) = all.get_mut(&reader) {
                        let reader = Arc::make_mut(reader);
                        reader.query = with_new_name(&reader.query, name, to)?;
                        reader.reads.remove(&format!("{DEFAULT_SCHEMA}.{name}"));
                        reader.reads.insert(format!("{DEFAULT_SCHEMA}.{to}"));
                    }
                }
                all.remove(name);
                all.insert(to.to_owned(), view);
                Ok(true)
            })
        })?;
        if is_renamed {
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
fn closure(all: &ViewMap, names: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<String> = names.into_iter().collect();
    while let Some(name) = open.pop() {
        if !found.contains(&name) {
            open.extend(readers(all, &name));
            found.insert(name);
        }
    }
    found
}

fn depended_on(all: &ViewMap, wanted: &BTreeSet<String>, dependents: &[&String]) -> SqlError {
    let lines = dependents.iter().map(|dependent| {
        let reads = |name: &&String| readers(all, name).contains(dependent);
        let mut known = wanted.iter().chain(dependents.iter().copied());
        let read = known.find(reads).map_or("", String::as_str);
        format!("view {dependent} depends on view {read}")
    });
    let name = wanted.first().map_or("", String::as_str);
    SqlError::Query {
        sqlstate: "2BP01",
        message: format!("cannot drop view {name} because other objects depend on it"),
        detail: Some(lines.collect::<Vec<_>>().join("\n")),
        hint: Some("Use DROP ... CASCADE to drop the dependent objects too.".into()),
    }
}

fn cascaded(more: &[&String]) -> Option<Notice> {
    match more {
        [] => None,
        [one] => Some(Notice::new("00000", format!("drop cascades to view {one}"))),
        more => {
            Some(Notice::new("00000", format!("drop cascades to {} other objects", more.len())))
        }
    }
}

/// A query that reads `name` as one that reads `to`; its columns may go on naming the table as before.
fn with_new_name(query: &str, name: &str, to: &str) -> Result<String, SqlError> {
    struct Renamer<'a>(&'a str, &'a str);

    impl VisitorMut for Renamer<'_> {
        type Break = ();

        fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { name, alias, args: None, .. } = table
                && views::of_public(name).as_deref() == Some(self.0)
            {
                if alias.is_none() {
                    let name = Ident::with_quote('"', self.0);
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
        let broken =
            || invalid("XX000", format!("the query of a view that reads \"{name}\" is none"), None);
        let mut parser = Parser::new(&dialect).try_with_sql(query).map_err(|_| broken())?;
        let mut statement = parser.parse_statement().map_err(|_| broken())?;
        let _ = statement.visit(&mut Renamer(name, to));
        Ok(statement.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_of_a_renamed_view_reads_the_same_one() {
        let query =
            with_new_name("SELECT v.a FROM public.v, t AS v2", "v", "w").expect("is a query");
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
