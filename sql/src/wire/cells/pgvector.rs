//! Values of `halfvec` and of bits as fields, in text and binary: types that the library's encoder
//! does not know.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float16Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Float16Type};
use bytes::{BufMut, BytesMut};
use pgwire::api::results::FieldFormat;
use pgwire::error::PgWireResult;
use vigil_udfs::{bits_text, is_bits, is_halfvec, vector_text};

use super::{out_of_range, sized};

/// A column of such a type.
pub(super) struct Lists<'a> {
    elements: Elements<'a>,
    spans: Spans<'a>,
    format: FieldFormat,
}

enum Elements<'a> {
    Halves(&'a Float16Array),
    Bits(&'a BooleanArray),
}

/// Where the elements of a row are.
enum Spans<'a> {
    Fixed(usize),
    Offsets(&'a OffsetBuffer<i32>),
    LargeOffsets(&'a OffsetBuffer<i64>),
}

impl<'a> Lists<'a> {
    /// `None` for a column of another type.
    pub(super) fn of(array: &'a ArrayRef, format: FieldFormat) -> Option<Self> {
        let data_type = array.data_type();
        if !is_halfvec(data_type) && !is_bits(data_type) {
            return None;
        }
        let (values, spans) = match data_type {
            DataType::FixedSizeList(_, length) => {
                let length = usize::try_from(*length).ok()?;
                // A list that was cut shows its own rows' values alone.
                (array.as_fixed_size_list().values(), Spans::Fixed(length))
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                (list.values(), Spans::Offsets(list.offsets()))
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                (list.values(), Spans::LargeOffsets(list.offsets()))
            }
            _ => return None,
        };
        let elements = match values.data_type() {
            DataType::Boolean => Elements::Bits(values.as_boolean()),
            _ => Elements::Halves(values.as_primitive::<Float16Type>()),
        };
        Some(Self { elements, spans, format })
    }

    /// Writes a value that is not NULL.
    pub(super) fn write(&self, row: usize, out: &mut BytesMut) -> PgWireResult<()> {
        let at = |offset: i64| usize::try_from(offset).unwrap_or_default();
        let span = match &self.spans {
            Spans::Fixed(length) => row * length..(row + 1) * length,
            Spans::Offsets(offsets) => at(offsets[row].into())..at(offsets[row + 1].into()),
            Spans::LargeOffsets(offsets) => at(offsets[row])..at(offsets[row + 1]),
        };
        let is_binary = self.format == FieldFormat::Binary;
        match &self.elements {
            Elements::Halves(halves) if is_binary => {
                let halves = &halves.values()[span];
                let dimensions =
                    u16::try_from(halves.len()).map_err(|_| out_of_range("halfvec"))?;
                out.reserve(8 + 2 * halves.len());
                out.put_i32(4 + 2 * i32::from(dimensions));
                out.put_u16(dimensions);
                out.put_u16(0);
                for half in halves {
                    out.put_u16(half.to_bits());
                }
                Ok(())
            }
            Elements::Halves(halves) => {
                let elements = halves.values()[span].iter().map(|half| half.to_f32());
                sized(out, vector_text(elements).as_bytes())
            }
            Elements::Bits(bits) if is_binary => {
                let count = i32::try_from(span.len()).map_err(|_| out_of_range("bit"))?;
                out.put_i32(4 + (count + 7) / 8);
                out.put_i32(count);
                // The first bit is the highest of its byte, and the last byte is filled with zeros.
                for start in span.clone().step_by(8) {
                    let byte = (0..8).fold(0, |byte, at| {
                        let is_one = start + at < span.end && bits.value(start + at);
                        byte << 1 | u8::from(is_one)
                    });
                    out.put_u8(byte);
                }
                Ok(())
            }
            Elements::Bits(bits) => sized(out, bits_text(span.map(|at| bits.value(at))).as_bytes()),
        }
    }
}
