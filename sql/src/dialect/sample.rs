//! `TABLESAMPLE`. DataFusion reads the clause and gives every row, so it is refused.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Statement, TableFactor, Visit, Visitor};

use crate::SqlError;

/// # Errors
/// SQLSTATE 0A000 when `statement` has the clause.
pub(super) fn refuse(statement: &Statement) -> Result<(), SqlError> {
    if statement.visit(&mut Samples).is_continue() {
        return Ok(());
    }
    Err(SqlError::Unsupported {
        what: "TABLESAMPLE".into(),
        hint: Some("Write WHERE random() < 0.1 for about a tenth of the rows.".into()),
    })
}

struct Samples;

impl Visitor for Samples {
    type Break = ();

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        match table {
            TableFactor::Table { sample: Some(_), .. }
            | TableFactor::Derived { sample: Some(_), .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::dialect::parse;

    #[test]
    fn a_sample_is_refused_and_not_all_rows() {
        let error = parse("SELECT * FROM t TABLESAMPLE BERNOULLI (10)").expect_err("has no sample");
        assert_eq!(error.sqlstate(), "0A000");
        assert!(error.hint().is_some());
    }
}
