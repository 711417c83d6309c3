//! How large a statement gets when each name of its `WITH` is put in where it is used, as DataFusion does: names
//! that are used twice by the next one double with each of them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Query, Statement, Visit, Visitor, visit_relations};

use crate::SqlError;

/// Tables and queries of `WITH` that a statement may have then. Planning takes about a millisecond for each.
const MAX_PARTS: u64 = 4096;

/// # Errors
/// SQLSTATE 54001 for a statement that gets too large.
pub(super) fn check(statement: &Statement) -> Result<(), SqlError> {
    match statement.visit(&mut Queries) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(SqlError::Invalid {
            sqlstate: "54001",
            message: "statement too complex".into(),
            hint: Some(
                "A query of WITH is worked out each time that its name is used; use the names less often."
                    .into(),
            ),
            position: None,
        }),
    }
}

struct Queries;

impl Visitor for Queries {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let Some(with) = &query.with else { return ControlFlow::Continue(()) };
        let mut known: BTreeMap<String, u64> = BTreeMap::new();
        for table in &with.cte_tables {
            let parts = parts(table.query.as_ref(), &known);
            if parts > MAX_PARTS {
                return ControlFlow::Break(());
            }
            known.insert(table.alias.name.value.to_lowercase(), parts);
        }
        if parts(query.body.as_ref(), &known) > MAX_PARTS {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// The parts of a query, with those of the names that are known.
fn parts(query: &impl Visit, known: &BTreeMap<String, u64>) -> u64 {
    let mut parts = 1_u64;
    let _ = visit_relations(query, |name| {
        let of_name = known.get(&name.to_string().to_lowercase()).copied().unwrap_or(1);
        parts = parts.saturating_add(of_name);
        ControlFlow::<()>::Continue(())
    });
    parts
}

#[cfg(test)]
mod tests {
    use crate::dialect::parse;

    fn chained(count: usize, uses: &str) -> String {
        let more = (1..count).map(|n| {
            let before = n - 1;
            format!(", a{n} AS (SELECT 1 FROM {})", uses.replace('?', &format!("a{before}")))
        });
        format!("WITH a0 AS (SELECT 1){} SELECT * FROM a{}", more.collect::<String>(), count - 1)
    }

    #[test]
    fn a_chain_may_be_long_and_must_not_double() {
        parse(&chained(1000, "?")).expect("grows by one each time");
        parse(&chained(11, "? x, ? y")).expect("is 2,048 tables");
        let error = parse(&chained(40, "? x, ? y")).expect_err("is a million million");
        assert_eq!(error.sqlstate(), "54001");
        assert_eq!(parse(&chained(100, "?, ?, ?, ?")).expect_err("is more").sqlstate(), "54001");
    }
}
