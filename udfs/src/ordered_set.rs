//! `mode` and `percentile_disc`, aggregates of values in an order.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{SortOptions, concat, sort_to_indices, take};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, Signature, Volatility,
};
use datafusion::physical_plan::PhysicalExpr;

use crate::UdfError;
use crate::doc::{Example, FunctionDoc};

const SECTION: &str = "Numbers";

static MODE: FunctionDoc = FunctionDoc {
    name: "mode",
    section: SECTION,
    syntax: &["mode() WITHIN GROUP (ORDER BY value) → the value's type"],
    description: "The value that is there most often, of several the first in the order; NULL without any. NULLs do not count.",
    arguments: &[("value", "anything that has an order")],
    examples: &[Example {
        sql: "SELECT mode() WITHIN GROUP (ORDER BY x) FROM (VALUES ('car'), ('bus'), ('bus')) AS t (x)",
        result: "bus",
    }],
};

static PERCENTILE: FunctionDoc = FunctionDoc {
    name: "percentile_disc",
    section: SECTION,
    syntax: &["percentile_disc(fraction) WITHIN GROUP (ORDER BY value) → the value's type"],
    description: "The first value in the order of which this fraction of all are at or before it; NULL without any. NULLs do not count.",
    arguments: &[
        ("fraction", "a number from 0 to 1, a constant"),
        ("value", "anything that has an order"),
    ],
    examples: &[Example {
        sql: "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY x) FROM (VALUES (1), (2), (4), (9)) AS t (x)",
        result: "2",
    }],
};

/// What is written about the aggregates.
pub(crate) fn docs() -> Vec<&'static FunctionDoc> {
    vec![&MODE, &PERCENTILE]
}

pub(crate) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for kind in [Kind::Mode, Kind::Percentile] {
        let signature = Signature::user_defined(Volatility::Immutable);
        let aggregate = OrderedSet { kind, signature };
        registry.register_udaf(Arc::new(AggregateUDF::from(aggregate)))?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Mode,
    Percentile,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OrderedSet {
    kind: Kind,
    signature: Signature,
}

impl AggregateUDFImpl for OrderedSet {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Mode => MODE.name,
            Kind::Percentile => PERCENTILE.name,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match (self.kind, types) {
            (Kind::Mode, [value]) => Ok(vec![value.clone()]),
            (Kind::Percentile, [value, fraction])
                if fraction.is_numeric() || fraction.is_null() =>
            {
                Ok(vec![value.clone(), DataType::Float64])
            }
            _ => {
                let arguments = crate::vector::type_names(types);
                let function = match self.kind {
                    Kind::Mode => MODE.name,
                    Kind::Percentile => PERCENTILE.name,
                };
                Err(UdfError::NoFunction { function, arguments }.into())
            }
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let item =
            args.input_fields.first().map_or(DataType::Null, |field| field.data_type().clone());
        let list = DataType::List(Arc::new(Field::new_list_field(item, true)));
        Ok(vec![Arc::new(Field::new(format_state_name(args.name, "values"), list, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let data_type =
            args.expr_fields.first().map_or(DataType::Null, |field| field.data_type().clone());
        let answer = match (self.kind, args.exprs.get(1)) {
            (Kind::Percentile, Some(fraction)) => Answer::Percentile(constant(fraction)?),
            _ => Answer::Mode,
        };
        let is_descending = args.order_bys.first().is_some_and(|order| order.options.descending);
        Ok(Box::new(Values { data_type, answer, is_descending, values: Vec::new() }))
    }

    fn supports_within_group_clause(&self) -> bool {
        true
    }
}

/// The fraction; `None` for NULL.
fn constant(expr: &Arc<dyn PhysicalExpr>) -> Result<Option<f64>> {
    let batch = arrow::array::RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty()));
    let value = match expr.evaluate(&batch) {
        Ok(ColumnarValue::Scalar(value)) => value.cast_to(&DataType::Float64)?,
        _ => return Err(UdfError::FractionNotConstant.into()),
    };
    match value {
        ScalarValue::Float64(Some(fraction)) if (0.0..=1.0).contains(&fraction) => {
            Ok(Some(fraction))
        }
        ScalarValue::Float64(Some(fraction)) => {
            Err(UdfError::FractionRange { fraction: fraction.to_string() }.into())
        }
        _ => Ok(None),
    }
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Mode,
    Percentile(Option<f64>),
}

/// All values but NULLs, as they came.
#[derive(Debug)]
struct Values {
    data_type: DataType,
    answer: Answer,
    is_descending: bool,
    values: Vec<ArrayRef>,
}

impl Values {
    fn add(&mut self, values: &ArrayRef) -> Result<()> {
        let values = match values.null_count() {
            0 => Arc::clone(values),
            _ => arrow::compute::filter(values, &arrow::compute::is_not_null(values)?)?,
        };
        if !values.is_empty() {
            self.values.push(values);
        }
        Ok(())
    }

    fn all(&self) -> Result<ArrayRef> {
        let parts: Vec<&dyn Array> = self.values.iter().map(AsRef::as_ref).collect();
        Ok(if parts.is_empty() { new_empty_array(&self.data_type) } else { concat(&parts)? })
    }

    fn sorted(&self) -> Result<ArrayRef> {
        let all = self.all()?;
        let options = SortOptions { descending: self.is_descending, nulls_first: false };
        let order = sort_to_indices(&all, Some(options), None)?;
        Ok(take(&all, &order, None)?)
    }
}

/// Where the longest run of equal values of a sorted array begins, of several the first.
fn longest_run(sorted: &ArrayRef) -> Result<usize> {
    let converter = RowConverter::new(vec![SortField::new(sorted.data_type().clone())])?;
    let rows = converter.convert_columns(std::slice::from_ref(sorted))?;
    let (mut best, mut longest, mut start) = (0, 0, 0);
    for at in 1..=rows.num_rows() {
        if at == rows.num_rows() || rows.row(at) != rows.row(start) {
            if at - start > longest {
                (best, longest) = (start, at - start);
            }
            start = at;
        }
    }
    Ok(best)
}

impl Accumulator for Values {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        match values.first() {
            Some(values) => self.add(values),
            None => Ok(()),
        }
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(lists) = states.first() else { return Ok(()) };
        for list in lists.as_list::<i32>().iter().flatten() {
            self.add(&list)?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let all = self.all()?;
        let item = Arc::new(Field::new_list_field(self.data_type.clone(), true));
        let offsets = OffsetBuffer::from_lengths([all.len()]);
        let list = ListArray::try_new(item, offsets, all, None)?;
        Ok(vec![ScalarValue::List(Arc::new(list))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sorted = self.sorted()?;
        let at = match self.answer {
            _ if sorted.is_empty() => None,
            Answer::Mode => Some(longest_run(&sorted)?),
            Answer::Percentile(fraction) => fraction.map(|fraction| {
                let rank = (fraction * sorted.len() as f64).ceil() as usize;
                rank.clamp(1, sorted.len()) - 1
            }),
        };
        match at {
            Some(at) => ScalarValue::try_from_array(&sorted, at),
            None => ScalarValue::try_from(&self.data_type),
        }
    }

    fn size(&self) -> usize {
        let values: usize = self.values.iter().map(|values| values.get_array_memory_size()).sum();
        size_of_val(self) + values
    }
}
