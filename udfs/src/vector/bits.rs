//! Bits as PostgreSQL's `bit(n)` and `bit varying` have them: which Arrow types are bits, how they are
//! read, made and written.
//!
//! `bit(n)` is a `FixedSizeList` of `Boolean`, bits of any number are a `LargeList`. Nothing else here
//! has these types (an array of booleans is a `List`), so bits are told by their Arrow type, group,
//! join and sort as PostgreSQL's do, and stay bits through functions that forget a field's metadata.
//! Metadata only tell `bit varying` from `bit`.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, FixedSizeListArray,
    LargeListArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::scalar::ScalarValue;

use super::types::item;
use crate::error::UdfError;

/// The key of the metadata of a field of `bit varying`; the value is `varying`, with the most bits
/// behind it where there is such a number.
const BIT_TAG: &str = "vigil.bit";

/// The value of `bit varying`.
const VARYING: &str = "varying";

/// The longest `bit(n)` of PostgreSQL.
pub(super) const MAX_BITS: i32 = 83_886_080;

/// The Arrow type of bits of any number.
pub fn bits_type() -> DataType {
    DataType::LargeList(item(DataType::Boolean))
}

/// Whether values of the type are bits.
pub fn is_bits(data_type: &DataType) -> bool {
    match data_type {
        DataType::FixedSizeList(item, _) | DataType::LargeList(item) => {
            *item.data_type() == DataType::Boolean
        }
        _ => false,
    }
}

/// Whether the field, one of bits, is `bit varying`.
pub fn is_varying(field: &Field) -> bool {
    field.metadata().get(BIT_TAG).is_some_and(|tag| tag.starts_with(VARYING))
}

/// The most bits that a cast to the field's type, `bit varying(n)`, leaves.
pub(super) fn most_bits(field: &Field) -> Option<i64> {
    field.metadata().get(BIT_TAG)?.strip_prefix(VARYING)?.trim().parse().ok()
}

/// The field that `bit(n)` is in a cast.
pub fn bit_field(bits: u64) -> Field {
    bits_field("", Some(i32::try_from(bits).unwrap_or(i32::MAX)))
}

/// The field that `bit varying(n)` or `bit varying` is in a cast.
pub fn varbit_field(most: Option<u64>) -> Field {
    let mut field = bits_field("", None);
    let tag = most.map_or_else(|| VARYING.to_owned(), |most| format!("{VARYING} {most}"));
    field.metadata_mut().insert(BIT_TAG.to_owned(), tag);
    field
}

/// A nullable field of the type `bit(bits)`, or of bits of any number.
pub(super) fn bits_field(name: &str, bits: Option<i32>) -> Field {
    let data_type = match bits {
        Some(bits) => DataType::FixedSizeList(item(DataType::Boolean), bits),
        None => bits_type(),
    };
    Field::new(name, data_type, true)
}

/// The type that an operand of bits is read as: texts as `Utf8`, the rest as it is.
pub(super) fn bits_operand(data_type: &DataType) -> DataType {
    match data_type.is_string() || data_type.is_null() {
        true => DataType::Utf8,
        false => data_type.clone(),
    }
}

/// Whether a value of the type is read as bits.
pub(super) fn is_bits_operand(data_type: &DataType) -> bool {
    is_bits(data_type) || *data_type == DataType::Utf8
}

/// The bits of a text as PostgreSQL reads it: `101`, `b101`, or `x5` of four bits each.
///
/// # Errors
/// [`UdfError::BitSyntax`] (22P02).
pub fn parse_bits(text: &str) -> Result<Vec<bool>, UdfError> {
    if let Some(digits) = text.strip_prefix(['x', 'X']) {
        let mut bits = Vec::with_capacity(4 * digits.len());
        for digit in digits.chars() {
            let value =
                digit.to_digit(16).ok_or(UdfError::BitSyntax { digit, system: "hexadecimal" })?;
            bits.extend((0..4).rev().map(|at| value >> at & 1 == 1));
        }
        return Ok(bits);
    }
    let digits = text.strip_prefix(['b', 'B']).unwrap_or(text).chars();
    digits
        .map(|digit| match digit {
            '0' => Ok(false),
            '1' => Ok(true),
            digit => Err(UdfError::BitSyntax { digit, system: "binary" }),
        })
        .collect()
}

/// Bits as PostgreSQL writes them.
pub fn bits_text(bits: impl Iterator<Item = bool>) -> String {
    bits.map(|bit| if bit { '1' } else { '0' }).collect()
}

/// Bits as a value of [`bits_type`].
pub fn bits_value(bits: &[bool]) -> ScalarValue {
    let values = Arc::new(BooleanArray::from(bits.to_vec()));
    let offsets = OffsetBuffer::from_lengths([bits.len()]);
    ScalarValue::LargeList(Arc::new(LargeListArray::new(
        item(DataType::Boolean),
        offsets,
        values,
        None,
    )))
}

/// The bits of a batch, or those that all its rows share.
pub(super) struct BitsOperand {
    pub(super) bits: BooleanBuffer,
    spans: Spans,
    nulls: Option<NullBuffer>,
    is_constant: bool,
}

enum Spans {
    Fixed(usize),
    Offsets(OffsetBuffer<i64>),
}

impl BitsOperand {
    /// Reads bits, or texts of bits.
    pub(super) fn read(value: &ColumnarValue) -> Result<Self> {
        let (array, is_constant) = match value {
            ColumnarValue::Array(array) => (Arc::clone(array), false),
            ColumnarValue::Scalar(scalar) => (scalar.to_array()?, true),
        };
        let nulls = array.logical_nulls();
        let (bits, spans) = match array.data_type() {
            data_type if data_type.is_string() || data_type.is_null() => {
                let texts = cast(&array, &DataType::Utf8)?;
                let (mut bits, mut lengths) = (Vec::new(), Vec::with_capacity(texts.len()));
                for text in texts.as_string::<i32>() {
                    let parsed = text.map(parse_bits).transpose()?.unwrap_or_default();
                    lengths.push(parsed.len());
                    bits.extend(parsed);
                }
                (BooleanBuffer::from(bits), Spans::Offsets(OffsetBuffer::from_lengths(lengths)))
            }
            DataType::FixedSizeList(_, length) if is_bits(array.data_type()) => {
                let list = array.as_fixed_size_list();
                let length = usize::try_from(*length).unwrap_or_default();
                (list.values().as_boolean().values().clone(), Spans::Fixed(length))
            }
            DataType::LargeList(_) if is_bits(array.data_type()) => {
                let list = array.as_list::<i64>();
                let bits = list.values().as_boolean().values().clone();
                (bits, Spans::Offsets(list.offsets().clone()))
            }
            other => return internal_err!("{other} is not bits"),
        };
        Ok(Self { bits, spans, nulls, is_constant })
    }

    /// Whether all rows share one value.
    pub(super) fn is_constant(&self) -> bool {
        self.is_constant
    }

    /// Where the row's bits are; `None` when it is NULL.
    pub(super) fn span(&self, row: usize) -> Option<Range<usize>> {
        let row = if self.is_constant { 0 } else { row };
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        let at = |offset: i64| usize::try_from(offset).unwrap_or_default();
        Some(match &self.spans {
            Spans::Fixed(length) => row * length..(row + 1) * length,
            Spans::Offsets(offsets) => at(offsets[row])..at(offsets[row + 1]),
        })
    }

    /// The row's bits.
    pub(super) fn row(&self, row: usize) -> Option<BooleanBuffer> {
        self.span(row).map(|span| self.bits.slice(span.start, span.len()))
    }
}

/// A column of bits in the making.
pub(super) struct BitsColumn {
    bits: BooleanBufferBuilder,
    lengths: Vec<usize>,
    present: Vec<bool>,
    length: Option<usize>,
}

impl BitsColumn {
    /// A column of the type, which is one of bits.
    pub(super) fn new(data_type: &DataType, rows: usize) -> Self {
        let length = match data_type {
            DataType::FixedSizeList(_, length) => usize::try_from(*length).ok(),
            _ => None,
        };
        Self {
            bits: BooleanBufferBuilder::new(rows * length.unwrap_or(0)),
            lengths: Vec::with_capacity(rows),
            present: Vec::with_capacity(rows),
            length,
        }
    }

    /// Appends a value, or NULL. In `bit(n)`, what is more than n bits is cut off at the end, and what
    /// is missing there is 0.
    pub(super) fn push(&mut self, bits: Option<impl ExactSizeIterator<Item = bool>>) {
        self.present.push(bits.is_some());
        let start = self.bits.len();
        let most = self.length.unwrap_or(usize::MAX);
        for bit in bits.into_iter().flatten().take(most) {
            self.bits.append(bit);
        }
        let written = self.bits.len() - start;
        if let Some(length) = self.length {
            self.bits.append_n(length - written, false);
        }
        self.lengths.push(written);
    }

    /// The column.
    pub(super) fn finish(mut self) -> Result<ArrayRef> {
        let nulls = Some(NullBuffer::from(self.present)).filter(|nulls| nulls.null_count() > 0);
        let bits: ArrayRef = Arc::new(BooleanArray::new(self.bits.finish(), None));
        let item = item(DataType::Boolean);
        Ok(match self.length {
            Some(length) => {
                let length = i32::try_from(length).unwrap_or(i32::MAX);
                Arc::new(FixedSizeListArray::try_new(item, length, bits, nulls)?)
            }
            None => {
                let offsets = OffsetBuffer::from_lengths(self.lengths);
                Arc::new(LargeListArray::try_new(item, offsets, bits, nulls)?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_postgresql_reads_them() {
        let read = |text: &str| parse_bits(text).map(|bits| bits_text(bits.into_iter()));
        for (text, expected) in
            [("101", "101"), ("", ""), ("b01", "01"), ("x1f", "00011111"), ("XA", "1010")]
        {
            assert_eq!(read(text).as_deref(), Ok(expected));
        }
        for (text, expected) in [
            ("102", "\"2\" is not a valid binary digit"),
            ("xg", "\"g\" is not a valid hexadecimal digit"),
            (" 1", "\" \" is not a valid binary digit"),
        ] {
            assert_eq!(read(text).expect_err(text).to_string(), expected);
        }
    }

    #[test]
    fn a_column_of_a_length_cuts_and_fills() {
        let field = bit_field(3);
        let mut column = BitsColumn::new(field.data_type(), 3);
        for text in [Some("10111"), None, Some("1")] {
            column.push(text.map(|text| parse_bits(text).expect(text).into_iter()));
        }
        let array = column.finish().expect("a column");
        let operand = BitsOperand::read(&ColumnarValue::Array(array)).expect("bits");
        let rows = (0..3).map(|row| operand.row(row).map(|bits| bits_text(bits.iter())));
        let expected = [Some("101".to_owned()), None, Some("100".to_owned())];
        assert_eq!(rows.collect::<Vec<_>>(), expected);
    }
}
