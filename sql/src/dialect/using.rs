//! Columns of `JOIN … USING` in a `WHERE`. DataFusion (55.2) finds them ambiguous there, so they are
//! given the table whose value PostgreSQL takes: the left one's, of a right join the right one's.
//! Those of `NATURAL` and full joins are left as they are: what they join on is not known here, and no
//! one side has their value.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, JoinConstraint, JoinOperator, Query, Select, SetExpr, Statement, TableFactor,
    TableWithJoins, VisitMut, VisitorMut,
};

/// Rewrites the conditions of `statement`'s queries.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Queries);
}

struct Queries;

impl VisitorMut for Queries {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Select(select) = query.body.as_mut() {
            qualify(select);
        }
        ControlFlow::Continue(())
    }
}

fn qualify(select: &mut Select) {
    let mut tables = BTreeMap::new();
    select.from.iter().for_each(|from| note(from, &mut tables));
    if let Some(condition) = &mut select.selection
        && !tables.is_empty()
    {
        let _ = condition.visit(&mut Qualifier { tables: &tables, depth: 0 });
    }
}

/// Notes the table of each column that joins.
fn note(from: &TableWithJoins, tables: &mut BTreeMap<String, Ident>) {
    let mut left = name_of(&from.relation);
    for join in &from.joins {
        let right = name_of(&join.relation);
        let (constraint, side) = match &join.join_operator {
            JoinOperator::Join(on) | JoinOperator::Inner(on) => (on, &left),
            JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (on, &left),
            JoinOperator::Right(on) | JoinOperator::RightOuter(on) => (on, &right),
            _ => continue,
        };
        if let JoinConstraint::Using(columns) = constraint
            && let Some(side) = side
        {
            for column in columns.iter().filter_map(|name| name.0.last()?.as_ident()) {
                // Joined again, it is the first join's still.
                tables.entry(folded(column)).or_insert_with(|| side.clone());
            }
        }
        left = left.or(right);
    }
}

fn name_of(table: &TableFactor) -> Option<Ident> {
    match table {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. } => Some(alias.name.clone()),
        TableFactor::Table { name, .. } => name.0.last()?.as_ident().cloned(),
        _ => None,
    }
}

fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// Qualifies names in an expression, but not in its subqueries: there a name is looked up in their own
/// tables first.
struct Qualifier<'a> {
    tables: &'a BTreeMap<String, Ident>,
    depth: usize,
}

impl VisitorMut for Qualifier<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Identifier(ident) = expr
            && let Some(table) = self.tables.get(&folded(ident))
        {
            *expr = Expr::CompoundIdentifier(vec![table.clone(), ident.clone()]);
        }
        ControlFlow::Continue(())
    }
}
