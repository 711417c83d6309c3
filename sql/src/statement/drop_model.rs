//! `DROP MODEL`: removes a model that was registered.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Answer, Context, Definition, OwnStatement, StatementDoc};
use crate::dialect::Cursor;
use crate::{Notice, SqlError};

static DOC: StatementDoc = StatementDoc {
    name: "DROP MODEL",
    syntax: "DROP MODEL [ IF EXISTS ] name",
    description: "Removes a model that `CREATE MODEL` registered, with its files in the models \
folder. A model that a source uses stays until that source is dropped; models of the manifest stay \
for good.",
    example: "DROP MODEL IF EXISTS helmets;",
};

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["DROP", "MODEL"], doc: &DOC, parse }
}

#[derive(Debug)]
struct Statement {
    name: String,
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
    let name = cursor.name()?;
    Ok(Arc::new(Statement { name, missing }))
}

#[async_trait]
impl OwnStatement for Statement {
    fn tag(&self) -> &'static str {
        DOC.name
    }

    async fn run(&self, context: &Context<'_>) -> Result<Answer, SqlError> {
        match context.engine.drop_model(&self.name).await {
            Ok(()) => Ok(Answer::Done(Vec::new())),
            Err(error) if error.sqlstate == "42704" && self.missing == Missing::Skipped => {
                let message = format!("model \"{}\" does not exist, skipping", self.name);
                Ok(Answer::Done(vec![Notice::new("00000", message)]))
            }
            Err(error) => Err(error.into()),
        }
    }
}
