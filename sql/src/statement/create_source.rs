//! `CREATE SOURCE`: registers a video and starts it.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::{Answer, Context, Definition, OwnStatement, StatementDoc};
use crate::dialect::Cursor;
use crate::{CreateSource, Notice, Origin, SqlError};

static DOC: StatementDoc = StatementDoc {
    name: "CREATE SOURCE",
    syntax: "CREATE SOURCE [ IF NOT EXISTS ] name
    FROM { 'path or URL' | LOAD GENERATOR generator [ ( option = value [, ...] ) ] }
    [ WITH ( option = value [, ...] ) ]",
    description: "Registers a video under a name and starts to process it. The statement returns \
when the file has been opened; `WAIT FOR SOURCE` waits for its end. The rows of its frames appear \
in `frames`, `detections`, `tracks`, `captions` and `embeddings` while it runs.

A path is one of the server's; `file://` URLs work as well. `LOAD GENERATOR MOVING_BOXES` draws \
frames with known contents, for tests and for trying things without a camera; its options are \
`objects`, `frames`, `width`, `height` and `seed`.

Values are texts in quotes, numbers, words and booleans. An unknown option is refused, and the \
hint names the nearest known one. The statement takes effect at once, also in a transaction block.",
    example: "CREATE SOURCE IF NOT EXISTS boxes
    FROM LOAD GENERATOR MOVING_BOXES (objects = 3, frames = 20, seed = 7)
    WITH (detector = 'none');",
};

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["CREATE", "SOURCE"], doc: &DOC, parse }
}

#[derive(Debug)]
struct Statement {
    source: CreateSource,
    existing: Existing,
}

/// What becomes of a name that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Existing {
    /// An error.
    Refused,
    /// `IF NOT EXISTS`: a notice.
    Kept,
}

fn parse(cursor: &mut Cursor) -> Result<Arc<dyn OwnStatement>, SqlError> {
    let existing =
        if cursor.accept(&["IF", "NOT", "EXISTS"]) { Existing::Kept } else { Existing::Refused };
    let name = cursor.name()?;
    cursor.expect(&["FROM"])?;
    let origin = if cursor.accept(&["LOAD", "GENERATOR"]) {
        let name = cursor.identifier()?.to_lowercase();
        let options = if cursor.sees_sign(&Token::LParen) { cursor.options()? } else { Vec::new() };
        Origin::LoadGenerator { name, options }
    } else {
        Origin::Url(cursor.string()?)
    };
    let options = if cursor.accept(&["WITH"]) { cursor.options()? } else { Vec::new() };
    let source = CreateSource { name, origin, options };
    Ok(Arc::new(Statement { source, existing }))
}

#[async_trait]
impl OwnStatement for Statement {
    fn tag(&self) -> &'static str {
        DOC.name
    }

    async fn run(&self, context: &Context<'_>) -> Result<Answer, SqlError> {
        let engine = context.engine;
        let name = &self.source.name;
        let skipped = || {
            let message = format!("source \"{name}\" already exists, skipping");
            Ok(Answer::Done(vec![Notice::new("42710", message)]))
        };
        let taken = engine.sources().iter().any(|source| source.name == *name);
        if taken && self.existing == Existing::Kept {
            return skipped();
        }
        match engine.create_source(self.source.clone()).await {
            Ok(()) => Ok(Answer::Done(Vec::new())),
            // Another session may have taken the name since we looked.
            Err(error) if error.sqlstate == "42710" && self.existing == Existing::Kept => skipped(),
            Err(error) => Err(error.into()),
        }
    }
}
