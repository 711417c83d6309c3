//! `CREATE INDEX`: makes a graph over a column of vectors.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::{Answer, Context, Definition, OwnStatement, StatementDoc};
use crate::dialect::Cursor;
use crate::{CreateIndex, Notice, SqlError, types};

static DOC: StatementDoc = StatementDoc {
    name: "CREATE INDEX",
    syntax: "CREATE INDEX [ CONCURRENTLY ] [ [ IF NOT EXISTS ] name ]
    ON table USING hnsw ( { column | ( column::halfvec(n) ) } operator_class )
    [ WITH ( option = value [, ...] ) ] [ WHERE condition ]",
    description: "Makes an index for `ORDER BY column <=> vector LIMIT n` and its like: a \
hierarchical navigable small world graph. `captions.embedding` has one from the \
start, and `embeddings.embedding` one for each kind: `WHERE kind = 'caption'` and \
`WHERE kind = 'appearance'`.

The operator classes are pgvector's: `vector_cosine_ops` for `<=>`, `vector_l2_ops` for `<->`, \
`vector_ip_ops` for `<#>` and `vector_l1_ops` for `<+>`. Options are `m` (16), \
`ef_construction` (200) and `precision`, the bits that the graph keeps of each element: `full` \
(32), `half` (16) or `int8`; what it finds is ranked again by the table's own values. An index over `(column::halfvec(n))` has `halfvec_cosine_ops` \
and so on, keeps 16 bits, and is for `ORDER BY column::halfvec(n) <=> vector`. With `WHERE` \
only the rows that fulfil the condition are in the index, and a query uses it whose own `WHERE` has \
the same condition.

The statement returns when the rows of the moment are in the graph; sources run on meanwhile, with \
and without `CONCURRENTLY`, which is refused in a transaction block. Without it `ROLLBACK` removes the index.",
    example: "CREATE INDEX IF NOT EXISTS captions_l2 ON captions
    USING hnsw (embedding vector_l2_ops) WITH (m = 16, ef_construction = 100);",
};

pub(super) fn definition() -> Definition {
    Definition { begins_with: &["CREATE", "INDEX"], doc: &DOC, parse }
}

#[derive(Debug)]
struct Statement {
    index: CreateIndex,
    existing: Existing,
    is_concurrent: bool,
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
    let is_concurrent = cursor.accept(&["CONCURRENTLY"]);
    let existing =
        if cursor.accept(&["IF", "NOT", "EXISTS"]) { Existing::Kept } else { Existing::Refused };
    let name = if existing == Existing::Refused && cursor.begins_with(&["ON"]) {
        None
    } else {
        Some(cursor.identifier()?)
    };
    cursor.expect(&["ON"])?;
    cursor.accept(&["ONLY"]);
    let table = cursor.index_name()?;
    let method = if cursor.accept(&["USING"]) { cursor.identifier()? } else { "btree".into() };
    if method != "hnsw" {
        return Err(SqlError::Invalid {
            sqlstate: if method == "btree" { "0A000" } else { "42704" },
            message: match method.as_str() {
                "btree" => "indexes other than hnsw are not supported".into(),
                _ => format!("access method \"{method}\" does not exist"),
            },
            hint: Some("Write USING hnsw (embedding vector_cosine_ops).".into()),
            position: None,
        });
    }
    cursor.expect_sign(&Token::LParen)?;
    let (column, halfvec) = column(cursor)?;
    let has_class = !cursor.sees_sign(&Token::RParen) && !cursor.sees_sign(&Token::Comma);
    let operator_class = if has_class { Some(cursor.index_name()?) } else { None };
    if cursor.begins_with(&["ASC"]) || cursor.begins_with(&["DESC"]) {
        return Err(lacks(cursor, "does not support ASC/DESC options"));
    }
    if cursor.sees_sign(&Token::Comma) {
        return Err(lacks(cursor, "does not support multicolumn indexes"));
    }
    cursor.expect_sign(&Token::RParen)?;
    if cursor.begins_with(&["INCLUDE"]) {
        return Err(lacks(cursor, "does not support included columns"));
    }
    let options = if cursor.accept(&["WITH"]) { cursor.options()? } else { Vec::new() };
    let predicate = if cursor.accept(&["WHERE"]) { Some(cursor.rest_as_written()?) } else { None };
    let index = CreateIndex { name, table, column, halfvec, operator_class, options, predicate };
    Ok(Arc::new(Statement { index, existing, is_concurrent }))
}

/// `column`, or `(column::halfvec(n))` as it is written or as `CAST`, with its n.
fn column(cursor: &mut Cursor) -> Result<(String, Option<i32>), SqlError> {
    if !cursor.accept_sign(&Token::LParen) {
        return Ok((cursor.identifier()?, None));
    }
    let is_call = cursor.accept(&["CAST"]);
    if is_call {
        cursor.expect_sign(&Token::LParen)?;
    }
    // As pg_get_indexdef writes it.
    let is_nested = cursor.accept_sign(&Token::LParen);
    let column = cursor.identifier()?;
    if is_nested {
        cursor.expect_sign(&Token::RParen)?;
    }
    let is_cast =
        if is_call { cursor.accept(&["AS"]) } else { cursor.accept_sign(&Token::DoubleColon) };
    if !is_cast || !cursor.accept(&["HALFVEC"]) {
        return Err(SqlError::Invalid {
            sqlstate: "0A000",
            message: "indexes over expressions other than a cast to halfvec are not supported"
                .into(),
            hint: Some("Write ((embedding::halfvec(384)) halfvec_cosine_ops).".into()),
            position: Some(cursor.position()),
        });
    }
    if !cursor.accept_sign(&Token::LParen) {
        return Err(SqlError::Invalid {
            sqlstate: "22023",
            message: "column does not have dimensions".into(),
            hint: Some("Write them, as in halfvec(384).".into()),
            position: Some(cursor.position()),
        });
    }
    let dimensions = types::dimensions("halfvec", &cursor.number()?)?;
    cursor.expect_sign(&Token::RParen)?;
    if is_call {
        cursor.expect_sign(&Token::RParen)?;
    }
    cursor.expect_sign(&Token::RParen)?;
    Ok((column, Some(dimensions)))
}

/// What no HNSW index has, in pgvector's words.
fn lacks(cursor: &Cursor, what: &str) -> SqlError {
    SqlError::Invalid {
        sqlstate: "0A000",
        message: format!("access method \"hnsw\" {what}"),
        hint: None,
        position: Some(cursor.position()),
    }
}

#[async_trait]
impl OwnStatement for Statement {
    fn tag(&self) -> &'static str {
        DOC.name
    }

    fn stands_alone(&self) -> Option<&'static str> {
        self.is_concurrent.then_some("CREATE INDEX CONCURRENTLY")
    }

    async fn run(&self, context: &Context<'_>) -> Result<Answer, SqlError> {
        match context.engine.create_index(self.index.clone()).await {
            Ok(name) => {
                context.change.lock().unwrap_or_else(PoisonError::into_inner).made_index(name);
                Ok(Answer::Done(Vec::new()))
            }
            Err(error) if error.sqlstate == "42P07" && self.existing == Existing::Kept => {
                let message = format!("{}, skipping", error.message);
                Ok(Answer::Done(vec![Notice::new("42P07", message)]))
            }
            Err(error) => Err(error.into()),
        }
    }
}
