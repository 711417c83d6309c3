//! What is written here is what the library's encoder writes, value for value.

use std::sync::Arc;

use arrow::array::{
    Date32Array, FixedSizeListArray, Float32Array, Float64Array, Int16Array, Int32Array,
    Int64Array, TimestampMicrosecondArray,
};
use arrow::datatypes::{Fields, Schema};
use datafusion_postgres::arrow_pg::row_encoder::RowEncoder;
use pgwire::api::portal::Format;

use super::*;
use crate::wire::rows::columns;

fn batch() -> RecordBatch {
    let vectors = Float32Array::from(vec![1.0, -2.5, 0.0, 3.0, f32::NAN, 7.0, 1.0, 2.0]);
    let item = Arc::new(Field::new_list_field(DataType::Float32, true));
    let vectors = FixedSizeListArray::new(item, 2, Arc::new(vectors), None);
    let moments = vec![Some(0), None, Some(-1), Some(1_704_067_200_080_001)];
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true)])),
        Arc::new(Int16Array::from(vec![Some(i16::MIN), None, Some(0), Some(7)])),
        Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(-1), Some(7)])),
        Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(10), Some(i64::MAX)])),
        Arc::new(Float32Array::from(vec![Some(0.1), None, Some(f32::NAN), Some(-0.0)])),
        Arc::new(Float64Array::from(vec![Some(0.1), None, Some(f64::INFINITY), Some(-0.0)])),
        Arc::new(TimestampMicrosecondArray::from(moments.clone())),
        Arc::new(TimestampMicrosecondArray::from(moments).with_timezone("UTC")),
        Arc::new(Date32Array::from(vec![Some(0), None, Some(-40_000), Some(20_000)])),
        Arc::new(StringArray::from(vec![Some(""), None, Some("zwölf \" \\"), Some("a\nb")])),
        Arc::new(LargeStringArray::from(vec![Some("a"), None, Some("b"), Some("")])),
        Arc::new(StringViewArray::from(vec![
            Some("a"),
            None,
            Some("much longer than inline"),
            None,
        ])),
        Arc::new(BinaryArray::from(vec![Some(&b"\0\xff"[..]), None, Some(b""), Some(b"x")])),
        Arc::new(vectors),
    ];
    let fields = arrays.iter().enumerate().map(|(at, array)| {
        let field = Field::new(format!("c{at}"), array.data_type().clone(), true);
        let is_vector = matches!(array.data_type(), DataType::FixedSizeList(..));
        let tags = is_vector.then(|| ("pg.vector".to_owned(), "vector".to_owned()));
        Arc::new(field.with_metadata(tags.into_iter().collect()))
    });
    let schema = Schema::new(fields.collect::<Fields>());
    RecordBatch::try_new(Arc::new(schema), arrays).expect("columns of one length")
}

#[test]
fn all_types_are_as_the_library_writes_them() {
    let whole = batch();
    for batch in [whole.clone(), whole.slice(1, 3), whole.slice(3, 1)] {
        for format in [Format::UnifiedBinary, Format::UnifiedText] {
            let columns = columns(batch.schema_ref(), &format, None).expect("have types");
            let mut theirs = RowEncoder::new(batch.clone(), Arc::new(columns.clone()));
            let mut ours = Cells::new(&batch, &columns);
            for row in 0..batch.num_rows() {
                let mut out = BytesMut::new();
                ours.write(row, &mut out).expect("can be written");
                let expected = theirs.next_row().expect("is there").expect("can be written");
                assert_eq!(out, expected.data, "row {row} of {format:?}");
            }
            assert!(theirs.next_row().is_none());
        }
    }
}

#[test]
fn moments_that_postgresql_cannot_count_are_errors() {
    let field = Field::new("t", DataType::Timestamp(TimeUnit::Microsecond, None), false);
    let schema = Arc::new(Schema::new(vec![field]));
    let array = Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN]));
    let batch = RecordBatch::try_new(schema, vec![array]).expect("one column");
    let columns = columns(batch.schema_ref(), &Format::UnifiedBinary, None).expect("has a type");
    Cells::new(&batch, &columns).write(0, &mut BytesMut::new()).expect_err("is too early");
}

#[test]
fn an_int2vector_is_an_array_that_begins_at_0() {
    let mut out = BytesMut::new();
    numbers(&mut out, "1 -2", &Type::INT2).expect("are numbers");
    let expected: [&[u8]; 8] = [
        &32_i32.to_be_bytes(),
        &1_i32.to_be_bytes(),
        &0_i32.to_be_bytes(),
        &21_u32.to_be_bytes(),
        &2_i32.to_be_bytes(),
        &0_i32.to_be_bytes(),
        b"\0\0\0\x02\0\x01",
        b"\0\0\0\x02\xff\xfe",
    ];
    assert_eq!(out, expected.concat());
    numbers(&mut out, "one", &Type::OID).expect_err("is no number");
}

#[test]
fn a_time_has_as_much_of_a_fraction_as_it_has() {
    assert_eq!(time(36_000_000_000), "10:00:00");
    assert_eq!(time(36_000_500_000), "10:00:00.5");
    assert_eq!(time(86_399_999_999), "23:59:59.999999");
    assert_eq!(time(86_400_000_000), "24:00:00");
}
