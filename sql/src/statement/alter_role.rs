//! `ALTER ROLE`: changes a role.

use std::sync::Arc;

use async_trait::async_trait;

use super::create_role::lock_out_warning;
use super::role_options::{self, RoleOption};
use super::{Answer, Context, Definition, OwnStatement, StatementDoc};
use crate::SqlError;
use crate::dialect::Cursor;
use crate::roles::is_ready_made;

static DOC: StatementDoc = StatementDoc {
    name: "ALTER ROLE",
    syntax: "ALTER ROLE { name | CURRENT_USER } [ WITH ] option [ ... ]",
    description: "Changes what is given and leaves the rest; the options are those of `CREATE \
ROLE`. Everybody may change their own password; the rest takes a member of `vigil_admin`. Sessions \
of a role that may not log in any more are ended.",
    example: "CREATE ROLE guards;
ALTER ROLE guards CONNECTION LIMIT 5;
DROP ROLE guards;",
};

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["ALTER", "ROLE"], doc: &DOC, parse }
}

pub(super) fn as_user() -> Definition {
    Definition { begins_with: &["ALTER", "USER"], doc: &DOC, parse }
}

#[derive(Debug)]
struct Statement {
    /// `None` is `CURRENT_USER`.
    name: Option<String>,
    options: Vec<RoleOption>,
}

fn parse(cursor: &mut Cursor) -> Result<Arc<dyn OwnStatement>, SqlError> {
    let name = if cursor.accept(&["CURRENT_USER"]) { None } else { Some(cursor.identifier()?) };
    let options = role_options::parse(cursor)?;
    if options.is_empty() {
        return Err(cursor.unexpected());
    }
    Ok(Arc::new(Statement { name, options }))
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
        let own = context.access.role();
        let Some(name) = self.name.as_deref().or(own) else {
            return Err(role_options::unknown("CURRENT_USER"));
        };
        let only_password =
            self.options.iter().all(|option| matches!(option, RoleOption::Password(_)));
        if own != Some(name) || !only_password {
            role_options::only_admins(context, "alter role")?;
        }
        if is_ready_made(name) {
            return Err(SqlError::Invalid {
                sqlstate: "42939",
                message: format!("role \"{name}\" is always there and stays as it is"),
                hint: Some("GRANT and REVOKE say who is a member of it.".into()),
                position: None,
            });
        }
        let apply = role_options::apply(&self.options)?;
        let needed_login = context.roles.requires_login();
        let may_log_in = context.roles.change(|roles| {
            apply(roles, name)?;
            Ok(role_options::known(roles, name)?.login)
        })?;
        if !may_log_in {
            context.end_sessions_of(name);
        }
        Ok(Answer::Done(lock_out_warning(context, needed_login).into_iter().collect()))
    }
}
