//! `GRANT`: lets a role read something, or makes it a member of another role.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::{
    Answer, Context, Definition, OwnStatement, StatementDoc, role_options, unknown_source,
};
use crate::SqlError;
use crate::catalog::StandardTable;
use crate::catalog::system::{self, SYSTEM_SCHEMA};
use crate::database::DEFAULT_SCHEMA;
use crate::dialect::Cursor;
use crate::roles::{Grant, PUBLIC, RoleMap, would_be_circular};
use crate::views::ViewName;

static DOC: StatementDoc = StatementDoc {
    name: "GRANT",
    syntax: "GRANT { SELECT | ALL [ PRIVILEGES ] } ON
    { [ TABLE ] table [, ...] | ALL TABLES IN SCHEMA schema [, ...]
    | SCHEMA schema [, ...] | SOURCE source [, ...] } TO { role | PUBLIC } [, ...]
GRANT role [, ...] TO role [, ...]",
    description: "Lets roles read. A source is granted in every table: somebody to whom only \
sources were granted sees their rows alone, in system tables and statistics too, and for the rest \
it is as if there were no other source. A table or a schema is granted with all of its rows. Grants \
add up, over all roles that one is a member of.

The second form makes roles members of others. There are three ready ones: `vigil_reader` may read \
everything, `vigil_operator` may also register and drop sources, `vigil_admin` may also manage roles \
and stop the statements of others. It takes a member of `vigil_admin`.",
    example: "CREATE SOURCE IF NOT EXISTS boxes FROM LOAD GENERATOR MOVING_BOXES (frames = 20);
CREATE ROLE guards;
GRANT SELECT ON SOURCE boxes TO guards;
DROP ROLE guards;",
};

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["GRANT"], doc: &DOC, parse }
}

/// What is granted or taken back.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// Reading.
    Read(Vec<Grant>),
    /// Nothing that needs granting, such as the use of a schema.
    Nothing,
    /// Membership in these roles.
    Roles(Vec<String>),
}

#[derive(Debug)]
struct Statement {
    what: What,
    to: Vec<String>,
}

fn parse(cursor: &mut Cursor) -> Result<Arc<dyn OwnStatement>, SqlError> {
    let what = what(cursor)?;
    cursor.expect(&["TO"])?;
    let to = role_options::names(cursor)?;
    if cursor.begins_with(&["WITH"]) {
        return Err(SqlError::Unsupported {
            what: "granting the right to grant".into(),
            hint: Some("Members of vigil_admin may grant.".into()),
        });
    }
    Ok(Arc::new(Statement { what, to }))
}

/// What stands between `GRANT` and `TO`.
pub(super) fn what(cursor: &mut Cursor) -> Result<What, SqlError> {
    const CHANGES: [&str; 6] = ["INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"];
    if let Some(change) = CHANGES.iter().find(|change| cursor.begins_with(&[change])) {
        return Err(SqlError::Unsupported {
            what: format!("GRANT {change}"),
            hint: Some("Tables can be read; their rows come from sources.".into()),
        });
    }
    if cursor.accept(&["USAGE", "ON", "SCHEMA"]) {
        role_options::names(cursor)?;
        return Ok(What::Nothing);
    }
    let privilege = cursor.accept(&["SELECT"])
        || cursor.accept(&["ALL", "PRIVILEGES"])
        || cursor.accept(&["ALL"]);
    if !privilege {
        return Ok(What::Roles(role_options::names(cursor)?));
    }
    cursor.expect(&["ON"])?;
    let grants = if cursor.accept(&["SOURCE"]) {
        role_options::names(cursor)?.into_iter().map(Grant::Source).collect()
    } else if cursor.accept(&["ALL", "TABLES", "IN", "SCHEMA"]) || cursor.accept(&["SCHEMA"]) {
        role_options::names(cursor)?.into_iter().map(Grant::Schema).collect()
    } else {
        cursor.accept(&["TABLE"]);
        let mut tables = vec![table(cursor)?];
        while cursor.accept_sign(&Token::Comma) {
            tables.push(table(cursor)?);
        }
        tables
    };
    Ok(What::Read(grants))
}

fn table(cursor: &mut Cursor) -> Result<Grant, SqlError> {
    let first = cursor.identifier()?;
    if cursor.accept_sign(&Token::Period) {
        return Ok(Grant::Table(first, cursor.identifier()?));
    }
    Ok(Grant::Table(DEFAULT_SCHEMA.into(), first))
}

/// Refuses what does not exist.
pub(super) fn check(context: &Context<'_>, grant: &Grant) -> Result<(), SqlError> {
    let refused = |sqlstate, message| {
        Err(SqlError::Invalid { sqlstate, message, hint: None, position: None })
    };
    match grant {
        Grant::Source(name) => {
            if context.engine.sources().iter().any(|source| source.name == *name) {
                return Ok(());
            }
            Err(unknown_source(context.engine, name))
        }
        Grant::Schema(name) => match name.as_str() {
            DEFAULT_SCHEMA | SYSTEM_SCHEMA => Ok(()),
            _ => refused("3F000", format!("schema \"{name}\" does not exist")),
        },
        Grant::Table(schema, name) => {
            let exists = match schema.as_str() {
                DEFAULT_SCHEMA => {
                    StandardTable::ALL.iter().any(|table| table.name() == name)
                        || context.views.all().contains_key(&ViewName::public(name))
                }
                SYSTEM_SCHEMA => system::all().iter().any(|table| table.name == name),
                _ => false,
            };
            if exists {
                return Ok(());
            }
            let shown =
                if schema == DEFAULT_SCHEMA { name.clone() } else { format!("{schema}.{name}") };
            refused("42P01", format!("relation \"{shown}\" does not exist"))
        }
    }
}

#[async_trait]
impl OwnStatement for Statement {
    fn tag(&self) -> &'static str {
        match self.what {
            What::Read(_) | What::Nothing => "GRANT",
            What::Roles(_) => "GRANT ROLE",
        }
    }

    fn tells(&self) -> bool {
        false
    }

    async fn run(&self, context: &Context<'_>) -> Result<Answer, SqlError> {
        role_options::only_admins(context, "grant")?;
        if let What::Read(grants) = &self.what {
            grants.iter().try_for_each(|grant| check(context, grant))?;
        }
        context.roles.change(|roles| {
            for to in &self.to {
                role_options::known(roles, to)?;
                match &self.what {
                    What::Nothing => {}
                    What::Read(grants) => {
                        let new: BTreeSet<Grant> = grants.iter().cloned().collect();
                        role_options::known_mut(roles, to)?.grants.extend(new);
                    }
                    What::Roles(groups) => {
                        groups.iter().try_for_each(|group| join(roles, group, to))?;
                    }
                }
            }
            Ok(())
        })?;
        Ok(Answer::Done(Vec::new()))
    }
}

/// Makes `member` a member of `group`.
fn join(roles: &mut RoleMap, group: &str, member: &str) -> Result<(), SqlError> {
    role_options::known(roles, group)?;
    let refused =
        |message| SqlError::Invalid { sqlstate: "0LP01", message, hint: None, position: None };
    if group == PUBLIC || member == PUBLIC {
        return Err(refused("\"public\" is everybody and no role".into()));
    }
    if would_be_circular(roles, group, member) {
        let message = format!("role \"{group}\" is a member of role \"{member}\"");
        return Err(refused(message));
    }
    role_options::known_mut(roles, member)?.member_of.insert(group.to_owned());
    Ok(())
}
