//! What `CREATE ROLE` and `ALTER ROLE` say of a role, and what all statements on roles share.

use arrow::compute::kernels::cast_utils::string_to_datetime;
use chrono::Utc;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::Context;
use crate::SqlError;
use crate::access::denied;
use crate::dialect::Cursor;
use crate::roles::scram::Verifier;
use crate::roles::{ADMIN, Role, RoleMap, is_ready_made, no_randomness};

/// One option of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RoleOption {
    Login(Login),
    /// A password, or the text of a verifier; `None` takes it away.
    Password(Option<String>),
    ConnectionLimit(Option<u32>),
    /// Microseconds since the Unix epoch; `None` is for ever.
    ValidUntil(Option<i64>),
    /// `SUPERUSER` is PostgreSQL's word for a member of `vigil_admin`.
    Superuser,
    NoSuperuser,
    InRole(Vec<String>),
}

/// Whether a role is a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Login {
    Allowed,
    Refused,
}

/// Words that say what every role is anyway.
const NOTHING: [&str; 6] =
    ["INHERIT", "NOCREATEDB", "NOCREATEROLE", "NOREPLICATION", "NOBYPASSRLS", "ENCRYPTED"];

/// Words for rights that there are other ways to.
const REFUSED: [&str; 7] =
    ["CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS", "NOINHERIT", "ROLE", "ADMIN"];

/// The options up to the statement's end.
pub(super) fn parse(cursor: &mut Cursor) -> Result<Vec<RoleOption>, SqlError> {
    cursor.accept(&["WITH"]);
    let mut options = Vec::new();
    while cursor.expect_end().is_err() {
        if let Some(word) = REFUSED.iter().find(|word| cursor.begins_with(&[word])) {
            return Err(SqlError::Unsupported {
                what: format!("role option {word}"),
                hint: Some(
                    "GRANT vigil_reader, vigil_operator or vigil_admin to the role instead.".into(),
                ),
            });
        }
        if NOTHING.iter().any(|word| cursor.accept(&[word])) {
            continue;
        }
        let option = if cursor.accept(&["LOGIN"]) {
            RoleOption::Login(Login::Allowed)
        } else if cursor.accept(&["NOLOGIN"]) {
            RoleOption::Login(Login::Refused)
        } else if cursor.accept(&["SUPERUSER"]) {
            RoleOption::Superuser
        } else if cursor.accept(&["NOSUPERUSER"]) {
            RoleOption::NoSuperuser
        } else if cursor.accept(&["PASSWORD", "NULL"]) {
            RoleOption::Password(None)
        } else if cursor.accept(&["PASSWORD"]) {
            RoleOption::Password(Some(cursor.string()?))
        } else if cursor.accept(&["CONNECTION", "LIMIT"]) {
            RoleOption::ConnectionLimit(limit(cursor)?)
        } else if cursor.accept(&["VALID", "UNTIL"]) {
            let position = cursor.position();
            RoleOption::ValidUntil(until(&cursor.string()?, position)?)
        } else if cursor.accept(&["IN", "ROLE"]) || cursor.accept(&["IN", "GROUP"]) {
            RoleOption::InRole(names(cursor)?)
        } else {
            return Err(cursor.unexpected());
        };
        options.push(option);
    }
    Ok(options)
}

/// A count; -1 is none.
fn limit(cursor: &mut Cursor) -> Result<Option<u32>, SqlError> {
    if cursor.accept_sign(&Token::Minus) {
        cursor.number()?;
        return Ok(None);
    }
    let position = cursor.position();
    cursor.number()?.parse().map(Some).map_err(|_| SqlError::Invalid {
        sqlstate: "22023",
        message: "invalid connection limit".into(),
        hint: Some("It takes a whole number, or -1 for none.".into()),
        position: Some(position),
    })
}

/// A time, in UTC where it names no zone; `infinity` is none.
fn until(text: &str, position: usize) -> Result<Option<i64>, SqlError> {
    if text.trim().eq_ignore_ascii_case("infinity") {
        return Ok(None);
    }
    let refused = || SqlError::Invalid {
        sqlstate: "22007",
        message: format!("invalid input syntax for type timestamp with time zone: \"{text}\""),
        hint: Some("Write it as 2030-01-31 18:00:00+00, or infinity.".into()),
        position: Some(position),
    };
    let time = string_to_datetime(&Utc, text.trim()).map_err(|_| refused())?;
    Ok(Some(time.timestamp_micros()))
}

/// Names with commas.
pub(super) fn names(cursor: &mut Cursor) -> Result<Vec<String>, SqlError> {
    let mut names = vec![cursor.identifier()?];
    while cursor.accept_sign(&Token::Comma) {
        names.push(cursor.identifier()?);
    }
    Ok(names)
}

/// Options with the password as what is kept of it: hashing takes long, so it is done before the
/// roles are locked.
pub(super) fn apply(
    options: &[RoleOption],
) -> Result<impl FnOnce(&mut RoleMap, &str) -> Result<(), SqlError> + use<>, SqlError> {
    let options = options.to_vec();
    let mut verifier = None;
    for option in &options {
        if let RoleOption::Password(password) = option {
            verifier = password.as_deref().map(verifier_of).transpose()?;
        }
    }
    Ok(move |roles: &mut RoleMap, name: &str| {
        for option in options {
            if let RoleOption::InRole(groups) = &option {
                for group in groups {
                    known(roles, group)?;
                }
            }
            let role = known_mut(roles, name)?;
            match option {
                RoleOption::Login(login) => role.login = login == Login::Allowed,
                RoleOption::Password(_) => role.verifier = verifier.clone(),
                RoleOption::ConnectionLimit(limit) => role.connection_limit = limit,
                RoleOption::ValidUntil(until) => role.valid_until_micros = until,
                RoleOption::Superuser => {
                    role.member_of.insert(ADMIN.into());
                }
                RoleOption::NoSuperuser => {
                    role.member_of.remove(ADMIN);
                }
                RoleOption::InRole(groups) => role.member_of.extend(groups),
            }
        }
        Ok(())
    })
}

fn verifier_of(password: &str) -> Result<Verifier, SqlError> {
    if password.is_empty() {
        return Err(SqlError::Invalid {
            sqlstate: "22023",
            message: "a password cannot be empty".into(),
            hint: Some("Write PASSWORD NULL to take the password away.".into()),
            position: None,
        });
    }
    // PostgreSQL keeps such a text as it is; nobody could log in here with it, or with the password.
    let digits = password.strip_prefix("md5").map(str::as_bytes);
    if digits.is_some_and(|all| all.len() == 32 && all.iter().all(u8::is_ascii_hexdigit)) {
        return Err(SqlError::Unsupported {
            what: "an MD5 hash as a password".into(),
            hint: Some(
                "Give the password or its SCRAM-SHA-256 verifier, as psql's \\password does."
                    .into(),
            ),
        });
    }
    match Verifier::parse(password) {
        Some(verifier) => Ok(verifier),
        None => Verifier::of_password(password).map_err(no_randomness),
    }
}

/// The role of this name.
pub(super) fn known<'a>(roles: &'a RoleMap, name: &str) -> Result<&'a Role, SqlError> {
    roles.get(name).ok_or_else(|| unknown(name))
}

/// The same, to change it.
pub(super) fn known_mut<'a>(roles: &'a mut RoleMap, name: &str) -> Result<&'a mut Role, SqlError> {
    roles.get_mut(name).ok_or_else(|| unknown(name))
}

/// The error for a role that is not there.
pub(super) fn unknown(name: &str) -> SqlError {
    SqlError::Invalid {
        sqlstate: "42704",
        message: format!("role \"{name}\" does not exist"),
        hint: Some("SELECT rolname FROM pg_roles lists the roles.".into()),
        position: None,
    }
}

/// Refuses names that are always there, and those that PostgreSQL keeps for itself.
pub(super) fn refuse_reserved(name: &str) -> Result<(), SqlError> {
    let reserved = is_ready_made(name)
        || name.starts_with("pg_")
        || name.starts_with("vigil_")
        || matches!(name, "none" | "current_user" | "session_user");
    if !reserved {
        return Ok(());
    }
    Err(SqlError::Invalid {
        sqlstate: "42939",
        message: format!("role name \"{name}\" is reserved"),
        hint: None,
        position: None,
    })
}

/// Refuses whoever may not manage roles.
pub(super) fn only_admins(context: &Context<'_>, action: &str) -> Result<(), SqlError> {
    if context.access.privileges()?.is_admin {
        return Ok(());
    }
    Err(denied(
        format!("permission denied to {action}"),
        Some("Only members of vigil_admin may do that."),
    ))
}
