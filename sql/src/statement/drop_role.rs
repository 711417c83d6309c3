//! `DROP ROLE`: removes a role and all that was granted to it.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Answer, Context, Definition, OwnStatement, StatementDoc, role_options};
use crate::dialect::Cursor;
use crate::roles::is_ready_made;
use crate::{Notice, SqlError};

static DOC: StatementDoc = StatementDoc {
    name: "DROP ROLE",
    syntax: "DROP ROLE [ IF EXISTS ] name [, ...]",
    description: "Removes roles with all that was granted to them, and ends their sessions. One's \
own role and the ready ones stay.",
    example: "CREATE ROLE guards;
DROP ROLE IF EXISTS guards;",
};

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["DROP", "ROLE"], doc: &DOC, parse }
}

pub(super) fn as_user() -> Definition {
    Definition { begins_with: &["DROP", "USER"], doc: &DOC, parse }
}

#[derive(Debug)]
struct Statement {
    names: Vec<String>,
    missing: Missing,
}

/// What becomes of a name that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// An error.
    Refused,
    /// `IF EXISTS`: a notice.
    Skipped,
}

fn parse(cursor: &mut Cursor) -> Result<Arc<dyn OwnStatement>, SqlError> {
    let missing =
        if cursor.accept(&["IF", "EXISTS"]) { Missing::Skipped } else { Missing::Refused };
    Ok(Arc::new(Statement { names: role_options::names(cursor)?, missing }))
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
        role_options::only_admins(context, "drop role")?;
        for name in &self.names {
            let refused = |sqlstate, message| {
                Err(SqlError::Invalid { sqlstate, message, hint: None, position: None })
            };
            if is_ready_made(name) {
                return refused("2BP01", format!("cannot drop role {name}: it is always there"));
            }
            if context.access.role() == Some(name) {
                return refused("55006", "current user cannot be dropped".into());
            }
        }
        let notices = context.roles.change(|roles| {
            let mut notices = Vec::new();
            for name in &self.names {
                if roles.remove(name).is_none() {
                    if self.missing == Missing::Refused {
                        return Err(role_options::unknown(name));
                    }
                    let message = format!("role \"{name}\" does not exist, skipping");
                    notices.push(Notice::new("00000", message));
                }
                for role in roles.values_mut() {
                    role.member_of.remove(name);
                }
            }
            Ok(notices)
        })?;
        for name in &self.names {
            context.end_sessions_of(name);
        }
        Ok(Answer::Done(notices))
    }
}
