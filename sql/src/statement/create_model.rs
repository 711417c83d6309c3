//! `CREATE MODEL`: registers a model of one's own.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Answer, Context, Definition, OwnStatement, StatementDoc};
use crate::dialect::Cursor;
use crate::{CreateModel, Notice, SqlError};

static DOC: StatementDoc = StatementDoc {
    name: "CREATE MODEL",
    syntax: "CREATE MODEL [ IF NOT EXISTS ] name
    TYPE { detector | captioner | embedder | reid | reranker | linker }
    FROM 'path or URL'
    [ WITH ( option = value [, ...] ) ]",
    description: "Registers a model under a name that sources and `embed` can then take. `FROM` names \
an ONNX file, or a folder with the files of the model's family (an address of a folder ends with \
`/`): `model.onnx` and `tokenizer.json` of an embedder, the graphs and the vocabulary of a captioner, \
all graphs (`*.onnx`) of a detector, of which each stream gets the one with the least padding. The \
files are copied into the models folder, so that the model is there again after a restart and the \
originals may go.

The model is loaded and run once before the statement returns. A graph whose inputs or outputs are \
not those of its family, or labels that do not count up to its classes, are refused with the tensor \
that was expected and those that were found; so is a file of another sha256 than was given. Paths are \
the server's own, below its `allowed_folders` where it has any; addresses are `http` or `https` and \
lead to no link-local or metadata host, not by a redirect either.

The name is lower case; one with dashes or dots needs double quotes. Rows name the model with its \
version, `helmets:1`. Only members of `vigil_operator` may register models. The statement takes \
effect at once, also in a transaction block.",
    example: "CREATE MODEL IF NOT EXISTS helmets TYPE detector FROM 'helmets.onnx'
    WITH (family = 'yolov8', labels = 'helmet, head');",
};

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["CREATE", "MODEL"], doc: &DOC, parse }
}

#[derive(Debug)]
struct Statement {
    model: CreateModel,
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
    cursor.expect(&["TYPE"])?;
    let task = cursor.identifier()?;
    cursor.expect(&["FROM"])?;
    let from = cursor.string()?;
    let options = if cursor.accept(&["WITH"]) { cursor.options()? } else { Vec::new() };
    Ok(Arc::new(Statement { model: CreateModel { name, task, from, options }, existing }))
}

#[async_trait]
impl OwnStatement for Statement {
    fn tag(&self) -> &'static str {
        DOC.name
    }

    async fn run(&self, context: &Context<'_>) -> Result<Answer, SqlError> {
        let (engine, name) = (context.engine, &self.model.name);
        let skipped = || {
            let message = format!("model \"{name}\" already exists, skipping");
            Ok(Answer::Done(vec![Notice::new("42710", message)]))
        };
        let taken = engine.models().iter().any(|model| model.name == *name);
        if taken && self.existing == Existing::Kept {
            return skipped();
        }
        match engine.create_model(self.model.clone()).await {
            Ok(()) => Ok(Answer::Done(Vec::new())),
            // Another session may have taken the name since we looked.
            Err(error) if error.sqlstate == "42710" && self.existing == Existing::Kept => skipped(),
            Err(error) => Err(error.into()),
        }
    }
}
