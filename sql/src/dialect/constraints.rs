//! What joins are made by, and whose value a column of both tables has.

use datafusion::sql::sqlparser::ast::{JoinConstraint, JoinOperator};

/// Whose column that of a join is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Both have the same value.
    Any,
    Left,
    Right,
    /// Whichever is not NULL.
    Either,
}

impl Side {
    /// Whether the left table's value is the right one.
    pub(crate) fn is_of_left(self) -> bool {
        matches!(self, Self::Any | Self::Left)
    }
}

/// The constraint of a join that has columns of both tables, and whose they are.
pub(crate) fn constraint(operator: &JoinOperator) -> Option<(&JoinConstraint, Side)> {
    Some(match operator {
        JoinOperator::Join(on) | JoinOperator::Inner(on) => (on, Side::Any),
        JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (on, Side::Left),
        JoinOperator::Right(on) | JoinOperator::RightOuter(on) => (on, Side::Right),
        JoinOperator::FullOuter(on) => (on, Side::Either),
        _ => return None,
    })
}

/// The same constraint, to be changed.
pub(crate) fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(on)
        | JoinOperator::Inner(on)
        | JoinOperator::Left(on)
        | JoinOperator::LeftOuter(on)
        | JoinOperator::Right(on)
        | JoinOperator::RightOuter(on)
        | JoinOperator::FullOuter(on) => Some(on),
        _ => None,
    }
}
