//! `CREATE ROLE`: a user, or a group of users.

use std::sync::Arc;

use async_trait::async_trait;

use super::role_options::{self, Login, RoleOption};
use super::{Answer, Context, Definition, OwnStatement, StatementDoc};
use crate::dialect::Cursor;
use crate::roles::{Role, next_oid};
use crate::{Notice, SqlError};

static DOC: StatementDoc = StatementDoc {
    name: "CREATE ROLE",
    syntax: "CREATE ROLE [ IF NOT EXISTS ] name [ [ WITH ] option [ ... ] ]

option:
    LOGIN | NOLOGIN | PASSWORD { 'password' | NULL } | CONNECTION LIMIT number
    | SUPERUSER | NOSUPERUSER | IN ROLE role [, ...]",
    description: "Makes a role: a user when it may log in, else a group to grant things to. \
`CREATE USER` is the same with `LOGIN`. Of a password only a SCRAM-SHA-256 verifier is kept; a text \
that is one already, as psql's `\\password` sends it, is kept as it is. `SUPERUSER` makes it a member \
of `vigil_admin`.

While no role may log in, clients on the server's own machine are trusted. From the first `LOGIN` \
role on everybody has to log in, so make one that is a member of `vigil_admin` first. The statement \
takes effect at once, also in a transaction block.",
    example: "CREATE ROLE guards;
CREATE ROLE guard PASSWORD 'not this one' IN ROLE guards;
DROP ROLE guard, guards;",
};

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["CREATE", "ROLE"], doc: &DOC, parse: |cursor| parse(cursor, &[]) }
}

pub(super) fn as_user() -> Definition {
    const LOGIN: &[RoleOption] = &[RoleOption::Login(Login::Allowed)];
    Definition { begins_with: &["CREATE", "USER"], doc: &DOC, parse: |cursor| parse(cursor, LOGIN) }
}

#[derive(Debug)]
struct Statement {
    name: String,
    existing: Existing,
    options: Vec<RoleOption>,
}

/// What becomes of a name that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Existing {
    /// An error.
    Refused,
    /// `IF NOT EXISTS`: a notice.
    Kept,
}

fn parse(cursor: &mut Cursor, implied: &[RoleOption]) -> Result<Arc<dyn OwnStatement>, SqlError> {
    let existing =
        if cursor.accept(&["IF", "NOT", "EXISTS"]) { Existing::Kept } else { Existing::Refused };
    let name = cursor.identifier()?;
    let mut options = implied.to_vec();
    options.extend(role_options::parse(cursor)?);
    Ok(Arc::new(Statement { name, existing, options }))
}

#[async_trait]
impl OwnStatement for Statement {
    fn tag(&self) -> &'static str {
        DOC.name
    }

    fn tells(&self) -> bool {
        false
    }

    async fn run(&self, context: &Context<'_>) -> Result<Answer, SqlError> {
        role_options::only_admins(context, "create role")?;
        role_options::refuse_reserved(&self.name)?;
        let apply = role_options::apply(&self.options)?;
        let needed_login = context.roles.requires_login();
        let name = &self.name;
        let made = context.roles.change(|roles| {
            if roles.contains_key(name) {
                return match self.existing {
                    Existing::Kept => Ok(false),
                    Existing::Refused => Err(SqlError::Invalid {
                        sqlstate: "42710",
                        message: format!("role \"{name}\" already exists"),
                        hint: None,
                        position: None,
                    }),
                };
            }
            let role = Role { oid: next_oid(roles), ..Role::default() };
            roles.insert(name.clone(), role);
            apply(roles, name)?;
            Ok(true)
        })?;
        if !made {
            let message = format!("role \"{name}\" already exists, skipping");
            return Ok(Answer::Done(vec![Notice::new("42710", message)]));
        }
        Ok(Answer::Done(lock_out_warning(context, needed_login).into_iter().collect()))
    }
}

/// Says so when clients have to log in from now on and no one of them could change that.
pub(super) fn lock_out_warning(context: &Context<'_>, needed_login: bool) -> Option<Notice> {
    let locks_out = context.roles.requires_login() && !context.roles.has_admin();
    (locks_out && !needed_login).then(|| {
        let message = "clients have to log in from now on, and no role that may log in is a member \
                       of vigil_admin; grant it to one before this session ends";
        Notice::warning("01000", message)
    })
}
