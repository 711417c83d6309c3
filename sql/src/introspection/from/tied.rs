//! Two tables of a sub-query, joined by a condition, of which a value of the query around it says which rows of
//! the second one count: drivers ask so for the columns of each type. That one comes first then, as all rows of
//! the other would be gone through for each row of the query around.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, Join, JoinConstraint, TableFactor, TableWithJoins,
};

use super::{Joined, Kind, Names, Step, column_of, found_in, kind_of};
use crate::introspection::relation::{Column, Row};
use crate::introspection::scope::Scope;
use crate::introspection::{Engine, Stop};

impl Engine<'_> {
    /// The rows of such tables, with the columns as they are written; `None` where `from` is something else.
    pub(super) fn tied_first(
        &self,
        from: &[TableWithJoins],
        filters: &mut Vec<&Expr>,
        scope: &Scope,
    ) -> Result<Option<Joined>, Stop> {
        let [TableWithJoins { relation: first, joins }] = from else { return Ok(None) };
        let [Join { relation: second, join_operator, .. }] = joins.as_slice() else {
            return Ok(None);
        };
        let (kind, on) = kind_of(join_operator)?;
        let is_plain = |table: &TableFactor| matches!(table, TableFactor::Table { args: None, .. });
        let is_it = kind == Kind::Inner && matches!(on, JoinConstraint::On(_));
        if !is_it || scope.parent.is_none() || !is_plain(first) || !is_plain(second) {
            return Ok(None);
        }
        let of_first = self.dry(|| self.factor(first, scope))?.columns.clone();
        let of_second = self.dry(|| self.factor(second, scope))?.columns.clone();
        // Where a value says so of the first one, too, the written order does.
        if filters.iter().any(|filter| ties(filter, &of_second, &of_first, scope)) {
            return Ok(None);
        }
        let is_tied = |filter: &Expr| ties(filter, &of_first, &of_second, scope);
        let Some(at) = filters.iter().position(|filter| is_tied(filter)) else { return Ok(None) };
        let mut tied = vec![filters.remove(at)];
        let rows = if self.is_dry() { Vec::new() } else { vec![Row::new()] };
        let joined = Joined { columns: Vec::new(), rows };
        let step = Step { kind: Kind::Inner, on: &JoinConstraint::None, is_last: true };
        let joined = self.join(joined, second, step, &mut tied, scope)?;
        filters.append(&mut tied);
        let step = Step { kind: Kind::Inner, on, is_last: true };
        let Joined { mut columns, mut rows } = self.join(joined, first, step, filters, scope)?;
        columns.rotate_left(of_second.len());
        rows.iter_mut().for_each(|row| row.rotate_left(of_second.len()));
        Ok(Some(Joined { columns, rows }))
    }
}

/// Whether a condition gives a column of the second table a value that is of neither.
fn ties(filter: &Expr, first: &[Column], second: &[Column], scope: &Scope) -> bool {
    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = filter else { return false };
    let is_value = |value: &Expr| {
        let names = Names::of(value);
        let is_around = |name: &Vec<Ident>| {
            matches!(found_in(first, name), Ok(None))
                && matches!(found_in(second, name), Ok(None))
                && scope.find(name).is_ok()
        };
        !names.has_query && names.names.iter().all(is_around)
    };
    [(left, right), (right, left)].into_iter().any(|(column, value)| {
        column_of(column, second).is_some()
            && column_of(column, first).is_none()
            && is_value(value.as_ref())
    })
}
