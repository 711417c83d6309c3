//! `sum` of whole numbers with PostgreSQL's types: that of `bigint` is `numeric`, as it may be more
//! than a `bigint`; that of `integer` and `smallint` is `bigint`. DataFusion's is of `bigint`, and wraps
//! around.
//!
//! The values keep their type up to the accumulator, which widens them: were they cast in the plan, the
//! next look at it would take the sum of an `integer` for that of a `bigint`.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF, EmitTo, GroupsAccumulator};
use datafusion::scalar::ScalarValue;

/// `numeric` with all digits before the point: the sum of 10^19 of the largest `bigint` fits.
const NUMERIC: DataType = DataType::Decimal128(38, 0);

/// The type of a sum of whole numbers of this type.
pub(super) fn sum_type(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Int16 | DataType::Int32 => Some(DataType::Int64),
        DataType::Int64 => Some(NUMERIC),
        _ => None,
    }
}

/// What DataFusion's `numbers` would be given for values of the type of the sum.
fn widened<T>(
    args: AccumulatorArgs<'_>,
    make: impl FnOnce(AccumulatorArgs<'_>) -> Result<T>,
) -> Result<T> {
    let data_type = args.return_field.data_type().clone();
    let fields: Vec<FieldRef> = args
        .expr_fields
        .iter()
        .map(|field| Arc::new(field.as_ref().clone().with_data_type(data_type.clone())) as FieldRef)
        .collect();
    make(AccumulatorArgs { expr_fields: &fields, ..args })
}

/// The field of the sum.
pub(super) fn field(name: &str, data_type: DataType) -> FieldRef {
    Arc::new(Field::new(name, data_type, true))
}

/// An accumulator for values of a smaller type than the sum has.
pub(super) fn accumulator(
    numbers: &AggregateUDF,
    args: AccumulatorArgs<'_>,
) -> Result<Box<dyn Accumulator>> {
    let to = args.return_field.data_type().clone();
    let inner = widened(args, |args| numbers.accumulator(args))?;
    Ok(Box::new(Widening { inner, to }))
}

/// The same for a window that moves.
pub(super) fn sliding(
    numbers: &AggregateUDF,
    args: AccumulatorArgs<'_>,
) -> Result<Box<dyn Accumulator>> {
    let to = args.return_field.data_type().clone();
    let inner = widened(args, |args| numbers.create_sliding_accumulator(args))?;
    Ok(Box::new(Widening { inner, to }))
}

/// The same for groups.
pub(super) fn groups(
    numbers: &AggregateUDF,
    args: AccumulatorArgs<'_>,
) -> Result<Box<dyn GroupsAccumulator>> {
    let to = args.return_field.data_type().clone();
    let inner = widened(args, |args| numbers.create_groups_accumulator(args))?;
    Ok(Box::new(Widening { inner, to }))
}

/// Hands values on as ones of the type of the sum.
#[derive(Debug)]
struct Widening<A> {
    inner: A,
    to: DataType,
}

impl<A> Widening<A> {
    fn widen(&self, values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        Ok(values.iter().map(|values| cast(values, &self.to)).collect::<Result<_, _>>()?)
    }
}

impl Accumulator for Widening<Box<dyn Accumulator>> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = self.widen(values)?;
        self.inner.update_batch(&values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.inner.evaluate()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = self.widen(values)?;
        self.inner.retract_batch(&values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}

impl GroupsAccumulator for Widening<Box<dyn GroupsAccumulator>> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        let values = self.widen(values)?;
        self.inner.update_batch(&values, groups, filter, total)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.inner.evaluate(emit_to)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit_to)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.inner.merge_batch(states, groups, total)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(&self.widen(values)?, filter)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }
}
