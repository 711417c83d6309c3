//! What kind of statement one is, and which ones Vigil refuses.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    ContextModifier, Delete, DiscardObject, Expr, FromTable, Ident, ObjectName, ObjectType, Query,
    Reset, Set, SetExpr, SetSessionAuthorizationParamKind, Statement, TableFactor, TableObject,
    TableWithJoins, TransactionMode, Value, ValueWithSpan, Visit, Visitor,
};

use super::command::Command;
use crate::SqlError;
use crate::statement::OwnStatement;

/// What is to be done with a statement.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// One of ours.
    Own(Arc<dyn OwnStatement>),
    /// DataFusion plans it; the answer has rows and this command tag.
    Query(Box<Statement>, &'static str),
    /// DataFusion's plan of it is the answer.
    Explain(Box<Statement>),
    /// The session does it to other statements or to objects of its own.
    Command(Command),
    /// The session does it.
    Session(SessionStatement),
}

/// A statement about the session itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SessionStatement {
    /// `SET name = value`; `None` is `DEFAULT`.
    Set { name: String, value: Option<String>, scope: Scope },
    /// `RESET name`.
    Reset(String),
    /// `RESET ALL`.
    ResetAll,
    /// `SHOW name`.
    Show(String),
    /// `SHOW ALL`.
    ShowAll,
    /// `BEGIN`, `START TRANSACTION`, with the command tag.
    Begin(&'static str, Vec<TransactionMode>),
    /// `SET TRANSACTION`.
    SetTransaction(Vec<TransactionMode>),
    /// `SET SESSION CHARACTERISTICS AS TRANSACTION`: the modes of the transactions to come.
    SetCharacteristics(Vec<TransactionMode>),
    /// `SET ROLE`, `SET SESSION AUTHORIZATION`; `None` is the one that the session has.
    /// Another role's rights, or with `None` one's own again.
    SetRole(Option<String>, Scope),
    /// Another user, or with `None` the one who has logged in.
    SetAuthorization(Option<String>),
    /// `DROP TABLE IF EXISTS` and its like, which only says that there is none.
    DropIfExists(ObjectType, Vec<ObjectName>),
    /// `COMMIT`, `END`; `chain` begins the next block at once.
    Commit { chain: bool },
    /// `ROLLBACK`, `ABORT`.
    Rollback { chain: bool },
    /// `SAVEPOINT name`.
    Savepoint(String),
    /// `RELEASE SAVEPOINT name`.
    Release(String),
    /// `ROLLBACK TO SAVEPOINT name`.
    RollbackTo(String),
    /// `DEALLOCATE name`; `None` is `ALL`.
    Deallocate(Option<String>),
    /// `DISCARD ALL`.
    DiscardAll,
    /// `DISCARD TEMP`.
    DiscardTemporary,
    /// Accepted without effect; only the command tag is given.
    Nothing(&'static str),
}

/// How long a `SET` lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// To the end of the session.
    Session,
    /// To the end of the transaction block.
    Local,
}

impl SessionStatement {
    /// True for the statements that a failed transaction block still takes.
    pub(crate) fn ends_transaction(&self) -> bool {
        matches!(self, Self::Commit { .. } | Self::Rollback { .. } | Self::RollbackTo(_))
    }
}

/// What is to be done with `statement`.
///
/// # Errors
/// SQLSTATE 0A000 or 42809, with a hint, for what Vigil does not do.
pub(crate) fn classify(statement: &Statement) -> Result<Kind, SqlError> {
    use SessionStatement as S;
    let session = |statement| Ok(Kind::Session(statement));
    match statement {
        Statement::Query(query) => {
            refuse_changes(query)?;
            Ok(Kind::Query(Box::new(statement.clone()), "SELECT"))
        }
        Statement::Explain { statement: explained, .. } => {
            match explained.as_ref() {
                Statement::Query(query) => refuse_changes(query)?,
                other => return Err(unsupported(format!("EXPLAIN of {}", verb(other)))),
            }
            Ok(Kind::Explain(Box::new(statement.clone())))
        }
        Statement::ShowTables { .. } | Statement::ShowColumns { .. } => {
            Ok(Kind::Query(Box::new(statement.clone()), "SHOW"))
        }
        Statement::ShowVariable { variable } => {
            let words: Vec<_> = variable.iter().map(|word| word.value.to_lowercase()).collect();
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            session(match words.as_slice() {
                ["all"] => S::ShowAll,
                ["time", "zone"] => S::Show("TimeZone".into()),
                ["transaction", "isolation", "level"] => S::Show("transaction_isolation".into()),
                ["session", "authorization"] => S::Show("session_authorization".into()),
                words => S::Show(words.join(".")),
            })
        }
        Statement::Set(set) => set_statement(set).map(Kind::Session),
        Statement::Reset(reset) => session(match &reset.reset {
            Reset::ALL => S::ResetAll,
            Reset::ConfigurationParameter(name) => {
                let name = name.to_string();
                match Identity::of(&name) {
                    Some(Identity::Role) => S::SetRole(None, Scope::Session),
                    Some(Identity::User) => S::SetAuthorization(None),
                    None => S::Reset(name),
                }
            }
        }),
        Statement::StartTransaction { begin, modes, .. } => {
            session(S::Begin(if *begin { "BEGIN" } else { "START TRANSACTION" }, modes.clone()))
        }
        Statement::Commit { chain, .. } => session(S::Commit { chain: *chain }),
        Statement::Rollback { savepoint: None, chain } => session(S::Rollback { chain: *chain }),
        Statement::Rollback { savepoint: Some(name), .. } => {
            session(S::RollbackTo(name.value.clone()))
        }
        Statement::Savepoint { name } => session(S::Savepoint(name.value.clone())),
        Statement::ReleaseSavepoint { name } => session(S::Release(name.value.clone())),
        Statement::Deallocate { name, .. } => {
            let all = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
            session(S::Deallocate((!all).then(|| name.value.clone())))
        }
        Statement::Discard { object_type } => session(match object_type {
            DiscardObject::ALL => S::DiscardAll,
            DiscardObject::PLANS => S::Nothing("DISCARD PLANS"),
            DiscardObject::SEQUENCES => S::Nothing("DISCARD SEQUENCES"),
            DiscardObject::TEMP => S::DiscardTemporary,
        }),
        Statement::Drop { object_type, if_exists: true, names, .. }
            if matches!(
                object_type,
                ObjectType::Table
                    | ObjectType::View
                    | ObjectType::MaterializedView
                    | ObjectType::Schema
                    | ObjectType::Sequence
            ) =>
        {
            session(S::DropIfExists(*object_type, names.clone()))
        }
        Statement::Insert(insert) => Err(match &insert.table {
            TableObject::TableName(name) => read_only("insert into", &name.to_string()),
            _ => unsupported("INSERT"),
        }),
        Statement::Update(update) => Err(read_only("update", &table_name(&update.table))),
        Statement::Delete(delete) => Err(read_only("delete from", &deleted_table(delete))),
        Statement::Truncate(truncate) => {
            let name = truncate.table_names.first().map(|table| table.name.to_string());
            Err(read_only("truncate", &name.unwrap_or_default()))
        }
        other => Err(unsupported(verb(other))),
    }
}

fn set_statement(set: &Set) -> Result<SessionStatement, SqlError> {
    use SessionStatement as S;
    match set {
        Set::SingleAssignment { scope, hivevar: false, variable, values }
            if let Some(identity) = Identity::of(&variable.to_string()) =>
        {
            let name = set_value(values);
            Ok(match identity {
                Identity::Role => {
                    let name = name.filter(|name| !name.eq_ignore_ascii_case("none"));
                    S::SetRole(name, of_modifier(scope.as_ref()))
                }
                Identity::User => S::SetAuthorization(name),
            })
        }
        Set::SingleAssignment { scope, hivevar: false, variable, values } => Ok(S::Set {
            name: variable.to_string(),
            value: set_value(values),
            scope: of_modifier(scope.as_ref()),
        }),
        Set::SetTimeZone { local, value } => Ok(S::Set {
            name: "TimeZone".into(),
            value: set_value(std::slice::from_ref(value)),
            scope: if *local { Scope::Local } else { Scope::Session },
        }),
        Set::SetNames { charset_name, .. } => Ok(S::Set {
            name: "client_encoding".into(),
            value: Some(charset_name.value.clone()),
            scope: Scope::Session,
        }),
        Set::SetTransaction { modes, session: false, .. } => Ok(S::SetTransaction(modes.clone())),
        Set::SetTransaction { modes, .. } => Ok(S::SetCharacteristics(modes.clone())),
        Set::SetSessionParam(_) => Ok(S::Nothing("SET")),
        Set::SetRole { context_modifier, role_name } => {
            let name = role_name.as_ref().and_then(role_of);
            Ok(S::SetRole(name, of_modifier(context_modifier.as_ref())))
        }
        Set::SetSessionAuthorization(param) => Ok(S::SetAuthorization(match &param.kind {
            SetSessionAuthorizationParamKind::Default => None,
            SetSessionAuthorizationParamKind::User(name) => role_of(name),
        })),
        other => Err(unsupported(format!("SET as in \"{other}\""))),
    }
}

fn of_modifier(modifier: Option<&ContextModifier>) -> Scope {
    match modifier {
        Some(ContextModifier::Local) => Scope::Local,
        _ => Scope::Session,
    }
}

/// A parameter that is who the session is.
enum Identity {
    Role,
    User,
}

impl Identity {
    fn of(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "role" => Some(Self::Role),
            "session_authorization" => Some(Self::User),
            _ => None,
        }
    }
}

/// The name of a role; `NONE` is none.
fn role_of(name: &Ident) -> Option<String> {
    match name.quote_style {
        None if name.value.eq_ignore_ascii_case("none") => None,
        None => Some(name.value.to_lowercase()),
        Some(_) => Some(name.value.clone()),
    }
}

/// The value of a `SET`, several of them with commas; `None` for `DEFAULT`.
fn set_value(values: &[Expr]) -> Option<String> {
    if let [Expr::Identifier(word)] = values
        && word.quote_style.is_none()
        && word.value.eq_ignore_ascii_case("default")
    {
        return None;
    }
    let texts: Vec<String> = values
        .iter()
        .map(|value| match value {
            Expr::Identifier(word) => word.value.clone(),
            // `SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE`
            Expr::Interval(interval) => match interval.value.as_ref() {
                Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => {
                    text.clone()
                }
                other => other.to_string(),
            },
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => text.clone(),
                Value::Boolean(value) => if *value { "on" } else { "off" }.into(),
                other => other.to_string(),
            },
            other => other.to_string(),
        })
        .collect();
    Some(texts.join(", "))
}

/// `WITH … INSERT`, `SELECT … INTO` and their like hide in queries.
fn refuse_changes(query: &Query) -> Result<(), SqlError> {
    struct Finder(Option<SqlError>);
    impl Visitor for Finder {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            self.0 = match query.body.as_ref() {
                SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) => {
                    Some(unsupported("changing data in a query"))
                }
                SetExpr::Merge(_) => Some(unsupported("MERGE")),
                SetExpr::Select(select) if select.into.is_some() => {
                    Some(unsupported("SELECT INTO"))
                }
                _ => return ControlFlow::Continue(()),
            };
            ControlFlow::Break(())
        }
    }
    let mut finder = Finder(None);
    let _ = query.visit(&mut finder);
    finder.0.map_or(Ok(()), Err)
}

fn read_only(action: &'static str, table: &str) -> SqlError {
    SqlError::ReadOnly { action, table: table.to_owned() }
}

fn unsupported(what: impl Into<String>) -> SqlError {
    let what = what.into();
    let hint = if what.starts_with("CREATE") {
        Some("Vigil's tables are made by the engine; CREATE SOURCE fills them.".into())
    } else {
        None
    };
    SqlError::Unsupported { what, hint }
}

/// The words that a statement begins with, in capitals: `CREATE TABLE`.
fn verb(statement: &Statement) -> String {
    const TWO_WORDS: [&str; 6] = ["CREATE", "ALTER", "DROP", "SHOW", "LOCK", "COMMENT"];
    let text = statement.to_string();
    let mut words = text.split_whitespace().map(str::to_uppercase).filter(|word| {
        !matches!(word.as_str(), "OR" | "REPLACE" | "TEMPORARY" | "UNLOGGED" | "EXTERNAL")
    });
    let first = words.next().unwrap_or_default();
    match words.next() {
        Some(second) if TWO_WORDS.contains(&first.as_str()) => format!("{first} {second}"),
        _ => first,
    }
}

fn table_name(table: &TableWithJoins) -> String {
    match &table.relation {
        TableFactor::Table { name, .. } => name.to_string(),
        other => other.to_string(),
    }
}

fn deleted_table(delete: &Delete) -> String {
    let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
    tables.first().map(table_name).unwrap_or_default()
}
