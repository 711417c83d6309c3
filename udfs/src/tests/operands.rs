//! The kernels against a plain recomputation: every representation, slices, NULLs with rubbish
//! beneath them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, Float64Array, LargeListArray,
    ListArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Float64Type};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use datafusion::scalar::ScalarValue;
use proptest::prelude::*;

use super::CountingModel;
use crate::{UdfError, VectorKind};

type Rows = Vec<Option<Vec<f32>>>;

/// How a column of vectors is laid out.
#[derive(Clone, Copy, Debug)]
enum Layout {
    Fixed,
    List,
    LargeListOfDoubles,
    Text,
}

const LAYOUTS: [Layout; 4] =
    [Layout::Fixed, Layout::List, Layout::LargeListOfDoubles, Layout::Text];

/// The rows as an array; a NULL of a `FixedSizeList` has numbers beneath it.
fn column(rows: &Rows, dimensions: usize, layout: Layout) -> ArrayRef {
    let nulls = Some(NullBuffer::from_iter(rows.iter().map(Option::is_some)));
    let lengths = rows.iter().map(|row| row.as_ref().map_or(0, Vec::len));
    let item = |data_type| Arc::new(Field::new_list_field(data_type, true));
    let flat: Vec<f32> = rows.iter().flatten().flatten().copied().collect();
    match layout {
        Layout::Fixed => {
            let padded = rows
                .iter()
                .flat_map(|row| row.clone().unwrap_or_else(|| vec![f32::NAN; dimensions]));
            let values = Arc::new(Float32Array::from_iter_values(padded));
            let length = i32::try_from(dimensions).expect("small");
            Arc::new(FixedSizeListArray::new(item(DataType::Float32), length, values, nulls))
        }
        Layout::List => {
            let values = Arc::new(Float32Array::from(flat));
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(ListArray::new(item(DataType::Float32), offsets, values, nulls))
        }
        Layout::LargeListOfDoubles => {
            let values = Arc::new(Float64Array::from_iter_values(flat.into_iter().map(f64::from)));
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(LargeListArray::new(item(DataType::Float64), offsets, values, nulls))
        }
        Layout::Text => {
            let text = |row: &Vec<f32>| {
                let elements: Vec<String> = row.iter().map(f32::to_string).collect();
                format!("[{}]", elements.join(","))
            };
            let texts = rows.iter().map(|row| row.as_ref().map(text));
            Arc::new(texts.collect::<arrow::array::StringArray>())
        }
    }
}

fn call(name: &str, args: Vec<ColumnarValue>, rows: usize) -> Result<ColumnarValue> {
    let functions = crate::functions(CountingModel::new(3));
    let function = functions.iter().find(|function| function.name() == name).expect(name);
    let arg_fields = args.iter().map(|arg| Arc::new(Field::new("", arg.data_type(), true)));
    function.invoke_with_args(ScalarFunctionArgs {
        arg_fields: arg_fields.collect(),
        args,
        number_rows: rows,
        return_field: Arc::new(Field::new("", DataType::Float64, true)),
        config_options: Arc::new(ConfigOptions::new()),
    })
}

fn numbers(value: ColumnarValue, rows: usize) -> Vec<Option<f64>> {
    let array = value.into_array(rows).expect("array");
    array.as_primitive::<Float64Type>().iter().collect()
}

/// The distance as its definition says it.
fn plainly(name: &str, left: &[f32], right: &[f32]) -> f64 {
    let pairs: Vec<(f64, f64)> =
        left.iter().zip(right).map(|(l, r)| (f64::from(*l), f64::from(*r))).collect();
    let product: f64 = pairs.iter().map(|(l, r)| l * r).sum();
    match name {
        "l2_distance" => pairs.iter().map(|(l, r)| (l - r).powi(2)).sum::<f64>().sqrt(),
        "l1_distance" => pairs.iter().map(|(l, r)| (l - r).abs()).sum(),
        "inner_product" => product,
        "cosine_distance" => {
            let left: f64 = pairs.iter().map(|(l, _)| l * l).sum();
            let right: f64 = pairs.iter().map(|(_, r)| r * r).sum();
            1.0 - product / (left.sqrt() * right.sqrt())
        }
        other => panic!("{other}"),
    }
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-9 * expected.abs().max(1.0)
}

const DISTANCES: [&str; 4] = ["l2_distance", "l1_distance", "inner_product", "cosine_distance"];

/// Two columns of equal length, dimensions included; lengths around those of the lanes.
fn columns() -> impl Strategy<Value = (Rows, Rows, usize)> {
    (1usize..40, 1usize..12).prop_flat_map(|(dimensions, rows)| {
        let vector = prop::collection::vec((-80i32..80).prop_map(|n| n as f32 / 8.0), dimensions);
        let rows = prop::collection::vec(prop::option::weighted(0.8, vector), rows);
        (rows.clone(), rows, Just(dimensions)).prop_map(|(left, mut right, dimensions)| {
            right.resize(left.len(), None);
            (left, right, dimensions)
        })
    })
}

proptest! {
    #[test]
    fn kernels_agree_with_the_definition(
        (left, right, dimensions) in columns(),
        left_layout in prop::sample::select(&LAYOUTS[..]),
        right_layout in prop::sample::select(&LAYOUTS[..]),
        cut in 0usize..12,
    ) {
        let cut = cut % left.len();
        let slice = |rows: &Rows, layout| {
            let array = column(rows, dimensions, layout);
            array.slice(cut, rows.len() - cut)
        };
        let (l, r) = (slice(&left, left_layout), slice(&right, right_layout));
        let rows = l.len();
        for name in DISTANCES {
            let expected: Vec<Option<f64>> = left[cut..].iter().zip(&right[cut..])
                .map(|pair| match pair {
                    // A vector of zeros has no cosine.
                    (Some(l), Some(r)) => Some(plainly(name, l, r)).filter(|number| !number.is_nan()),
                    _ => None,
                })
                .collect();
            let args = vec![ColumnarValue::Array(l.clone()), ColumnarValue::Array(r.clone())];
            let found = numbers(call(name, args, rows).expect(name), rows);
            for (found, expected) in found.iter().zip(&expected) {
                let equal = match (found, expected) {
                    (Some(found), Some(expected)) => close(*found, *expected),
                    (found, expected) => found == expected,
                };
                prop_assert!(equal, "{name}: {found:?} instead of {expected:?}");
            }
            // A constant on one side gives what the same value in each row gives.
            let constant = ScalarValue::try_from_array(&l, 0).expect("scalar");
            let args = vec![ColumnarValue::Scalar(constant.clone()), ColumnarValue::Array(r.clone())];
            let with_constant = numbers(call(name, args, rows).expect(name), rows);
            let repeated = constant.to_array_of_size(rows).expect("array");
            let args = vec![ColumnarValue::Array(repeated), ColumnarValue::Array(r.clone())];
            let with_column = numbers(call(name, args, rows).expect(name), rows);
            prop_assert_eq!(format!("{with_constant:?}"), format!("{with_column:?}"));
        }
    }
}

#[test]
fn a_vector_without_elements_is_refused() {
    let empty: ArrayRef = column(&vec![Some(vec![])], 0, Layout::List);
    let args = vec![ColumnarValue::Array(Arc::clone(&empty)), ColumnarValue::Array(empty)];
    let error = call("l2_distance", args, 1).expect_err("no dimensions");
    assert_eq!(UdfError::find(&error), Some(&UdfError::NoDimensions { kind: VectorKind::Vector }));
}

#[test]
fn a_batch_without_rows_gives_none() {
    for layout in LAYOUTS {
        let none = ColumnarValue::Array(column(&vec![], 3, layout));
        for name in DISTANCES {
            let found = call(name, vec![none.clone(), none.clone()], 0).expect(name);
            assert_eq!(numbers(found, 0), [], "{name} {layout:?}");
        }
    }
}
