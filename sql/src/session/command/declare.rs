//! `DECLARE name [BINARY] [INSENSITIVE] [[NO] SCROLL] CURSOR [{WITH | WITHOUT} HOLD] FOR query`.

use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::LogicalPlan;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;

use super::Command;
use crate::SqlError;
use crate::dialect::{self, Cursor};
use crate::session::cursors::{Declared, Hold, Scroll};
use crate::session::{Outcome, Session};

/// The statement.
#[derive(Clone, Debug)]
pub(crate) struct Declare {
    pub(crate) name: String,
    pub(crate) scroll: Scroll,
    pub(crate) hold: Hold,
    pub(crate) query: Box<ast::Statement>,
}

pub(super) fn parse(cursor: &mut Cursor) -> Result<Command, SqlError> {
    let name = cursor.identifier()?;
    let mut scroll = Scroll::Forward;
    loop {
        if cursor.begins_with(&["binary"]) {
            return Err(SqlError::Unsupported {
                what: "DECLARE BINARY CURSOR".into(),
                hint: Some("Ask for binary results in the extended protocol.".into()),
            });
        } else if cursor.accept(&["no", "scroll"]) {
            scroll = Scroll::Forward;
        } else if cursor.accept(&["scroll"]) {
            scroll = Scroll::Both;
        } else if !cursor.accept(&["insensitive"]) && !cursor.accept(&["asensitive"]) {
            break;
        }
    }
    cursor.expect(&["cursor"])?;
    let hold = if cursor.accept(&["with", "hold"]) {
        Hold::Session
    } else {
        cursor.accept(&["without", "hold"]);
        Hold::Transaction
    };
    cursor.expect(&["for"])?;
    let query = dialect::parse_part(cursor.rest(), cursor.lines())?;
    Ok(Command::Declare(Declare { name, scroll, hold, query }))
}

impl Session {
    /// Starts the query; its rows wait for `FETCH`.
    pub(in crate::session) async fn run_declare(
        &mut self,
        declare: &Declare,
        plan: LogicalPlan,
        described: &SchemaRef,
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome, SqlError> {
        let in_block = !self.transaction.is_alone();
        if declare.hold == Hold::Transaction && !in_block {
            return Err(SqlError::NoTransaction { what: "DECLARE CURSOR" });
        }
        self.cursors.refuse_twice(&declare.name)?;
        // A cursor outlives its statement, and so the limit of the statement's time.
        let described = Some(std::sync::Arc::clone(described));
        let batches = self.query_until(None, plan, &described, parameters).await?;
        let depth = in_block.then(|| self.transaction.depth());
        let declared =
            Declared { name: declare.name.clone(), scroll: declare.scroll, hold: declare.hold };
        let text = self.backend.doing().query;
        self.cursors.open(declared, &text, batches, depth);
        Ok(Outcome::done("DECLARE CURSOR", []))
    }
}
