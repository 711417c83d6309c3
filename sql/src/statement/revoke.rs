//! `REVOKE`: takes back what `GRANT` gave.

use std::sync::Arc;

use async_trait::async_trait;

use super::grant::{What, check, what};
use super::{Answer, Context, Definition, OwnStatement, StatementDoc, role_options};
use crate::SqlError;
use crate::dialect::Cursor;
use crate::roles::is_ready_made;

static DOC: StatementDoc = StatementDoc {
    name: "REVOKE",
    syntax: "REVOKE { SELECT | ALL [ PRIVILEGES ] } ON
    { [ TABLE ] table [, ...] | ALL TABLES IN SCHEMA schema [, ...]
    | SCHEMA schema [, ...] | SOURCE source [, ...] } FROM { role | PUBLIC } [, ...]
REVOKE role [, ...] FROM role [, ...]",
    description: "Takes back what `GRANT` gave; what was not given is no error, what there is not is one. It \
holds from the next statement on, also in sessions that are open. It takes a member of `vigil_admin`.",
    example: "CREATE ROLE guards IN ROLE vigil_reader;
REVOKE vigil_reader FROM guards;
DROP ROLE guards;",
};

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["REVOKE"], doc: &DOC, parse }
}

#[derive(Debug)]
struct Statement {
    what: What,
    from: Vec<String>,
}

fn parse(cursor: &mut Cursor) -> Result<Arc<dyn OwnStatement>, SqlError> {
    let what = what(cursor)?;
    cursor.expect(&["FROM"])?;
    let from = role_options::names(cursor)?;
    if !cursor.accept(&["CASCADE"]) {
        cursor.accept(&["RESTRICT"]);
    }
    Ok(Arc::new(Statement { what, from }))
}

#[async_trait]
impl OwnStatement for Statement {
    fn tag(&self) -> &'static str {
        match self.what {
            What::Read(_) | What::Nothing => "REVOKE",
            What::Roles(_) => "REVOKE ROLE",
        }
    }

    fn tells(&self) -> bool {
        false
    }

    async fn run(&self, context: &Context<'_>) -> Result<Answer, SqlError> {
        role_options::only_admins(context, "revoke")?;
        if let What::Read(grants) = &self.what {
            // What is gone may have been granted while it was there.
            let roles = context.roles.all();
            let mut unknown = grants
                .iter()
                .filter(|grant| !roles.values().any(|role| role.grants.contains(*grant)));
            unknown.try_for_each(|grant| check(context, grant))?;
        }
        context.roles.change(|roles| {
            if let What::Roles(groups) = &self.what {
                groups.iter().try_for_each(|group| role_options::known(roles, group).map(drop))?;
            }
            for from in &self.from {
                let role = role_options::known_mut(roles, from)?;
                match &self.what {
                    What::Nothing => {}
                    What::Read(grants) => {
                        for grant in grants {
                            role.grants.remove(grant);
                        }
                    }
                    // The ready roles build on each other.
                    What::Roles(_) if is_ready_made(from) => {}
                    What::Roles(groups) => {
                        for group in groups {
                            role.member_of.remove(group);
                        }
                    }
                }
            }
            Ok(())
        })?;
        Ok(Answer::Done(Vec::new()))
    }
}
