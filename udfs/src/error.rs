//! What a function refuses: one enum, each case with a SQLSTATE, as PostgreSQL and pgvector say it.

use datafusion::error::DataFusionError;

use crate::vector::VectorKind;

/// An error of a function. It travels through DataFusion as [`DataFusionError::External`], where
/// the wire finds it again with [`UdfError::find`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UdfError {
    /// Two vectors of different length.
    #[error("different {kind} dimensions {left} and {right}")]
    DifferentDimensions {
        /// Their type.
        kind: VectorKind,
        /// Length of the left one.
        left: usize,
        /// Length of the right one.
        right: usize,
    },
    /// Two vectors of different models.
    #[error("different vector models {found} and {expected}")]
    DifferentModels {
        /// The model of a row.
        found: String,
        /// The model of what it is compared with.
        expected: String,
    },
    /// A vector of another length than its type says.
    #[error("expected {expected} dimensions, not {found}")]
    UnexpectedDimensions {
        /// The `n` of `vector(n)`.
        expected: usize,
        /// Length of the value.
        found: usize,
    },
    /// A vector without elements.
    #[error("{kind} must have at least 1 dimension")]
    NoDimensions {
        /// Its type.
        kind: VectorKind,
    },
    /// A vector with more elements than pgvector allows.
    #[error("{kind} cannot have more than {max} dimensions")]
    TooManyDimensions {
        /// Its type.
        kind: VectorKind,
        /// The limit.
        max: usize,
    },
    /// A text that is no vector.
    #[error("invalid input syntax for type {kind}: \"{text}\"")]
    VectorSyntax {
        /// The type that it should be.
        kind: VectorKind,
        /// The text.
        text: String,
        /// Where it goes wrong, where that can be said.
        detail: Option<&'static str>,
    },
    /// An element that the elements' type cannot hold.
    #[error("\"{element}\" is out of range for type {kind}")]
    VectorRange {
        /// The vector's type.
        kind: VectorKind,
        /// The element as written.
        element: String,
    },
    /// An element that is not a number.
    #[error("NaN not allowed in {kind}")]
    VectorNan {
        /// The vector's type.
        kind: VectorKind,
    },
    /// An infinite element.
    #[error("infinite value not allowed in {kind}")]
    VectorInfinite {
        /// The vector's type.
        kind: VectorKind,
    },
    /// A result that the elements' type cannot hold.
    #[error("value out of range: overflow")]
    Overflow,
    /// A product that becomes 0 in the elements' type though no factor is 0.
    #[error("value out of range: underflow")]
    Underflow,
    /// Two values of bits of different length.
    #[error("different bit lengths {left} and {right}")]
    DifferentBits {
        /// Length of the left one.
        left: usize,
        /// Length of the right one.
        right: usize,
    },
    /// A text of bits with something else in it.
    #[error("\"{digit}\" is not a valid {system} digit")]
    BitSyntax {
        /// The first character that is no digit.
        digit: char,
        /// `binary` or `hexadecimal`.
        system: &'static str,
    },
    /// More bits than a batch of rows may have.
    #[error("the bits of these rows take more than 256 MiB")]
    TooManyBits,
    /// The `n` of `bit(n)` that is no length.
    #[error("length for type bit must be at least 1")]
    BitLength,
    /// What these functions do not do with vectors.
    #[error("{what} is not supported")]
    Unsupported {
        /// What was asked for.
        what: String,
    },
    /// An array with a NULL in it where a vector is wanted.
    #[error("array must not contain nulls")]
    NullElement,
    /// Arguments of types that the function does not take.
    #[error("function {function}({arguments}) does not exist")]
    NoFunction {
        /// The function's name.
        function: &'static str,
        /// The argument types, PostgreSQL's names.
        arguments: String,
    },
    /// Operands of types that the operator does not take.
    #[error("operator does not exist: {left} {operator} {right}")]
    NoOperator {
        /// The operator.
        operator: &'static str,
        /// Type of the left operand.
        left: String,
        /// Type of the right operand.
        right: String,
    },
    /// The `n` of `vector(n)` out of its range.
    #[error("dimensions for type {kind} must be between 1 and {max}")]
    TypeDimensions {
        /// The type.
        kind: VectorKind,
        /// The limit.
        max: usize,
    },
    /// The `n` of a `vector(n)` that is not known when the query is planned.
    #[error("the dimensions of to_{kind}() must be a constant")]
    DimensionsNotConstant {
        /// The type.
        kind: VectorKind,
    },
    /// A model that is not known when the query is planned.
    #[error("the model of {function}() must be a constant")]
    ModelNotConstant {
        /// The function's name.
        function: &'static str,
    },
    /// A template of a number that says what cannot be.
    #[error("{message}")]
    NumberTemplate {
        /// What is wrong with it.
        message: &'static str,
    },
    /// A template that asks of a length of time what only a point in time has.
    #[error("invalid format specification for an interval value")]
    NoCalendar,
    /// An escape of `SIMILAR TO` that is more than one character.
    #[error("invalid escape string")]
    EscapeLength,
    /// A timestamp out of the range of its type.
    #[error("timestamp out of range")]
    TimestampRange,
    /// An interval out of the range of its type.
    #[error("interval out of range")]
    IntervalRange,
    /// A part of a date or time that there is not.
    #[error("date/time field value out of range")]
    FieldRange,
    /// A name of no time zone.
    #[error("time zone \"{name}\" not recognized")]
    UnknownZone {
        /// The name.
        name: String,
    },
    /// A text that is not JSON.
    #[error("invalid input syntax for type json: \"{text}\"")]
    JsonSyntax {
        /// The text.
        text: String,
    },
    /// A value of JSON of another kind than a function takes.
    #[error("{message}")]
    JsonShape {
        /// What cannot be done.
        message: &'static str,
    },
    /// A text that is no array.
    #[error("malformed array literal: \"{text}\"")]
    ArraySyntax {
        /// The text.
        text: String,
    },
    /// A NULL where an object has a name.
    #[error("field name must not be null")]
    NullName,
    /// The fraction of a percentile that is none.
    #[error("percentile value {fraction} is not between 0 and 1")]
    FractionRange {
        /// The fraction.
        fraction: String,
    },
    /// The fraction of a percentile that is not known when the query is planned.
    #[error("the fraction of percentile_disc() must be a constant")]
    FractionNotConstant,
    /// A template of `format` that wants more values than there are.
    #[error("too few arguments for format()")]
    FormatArguments,
    /// A letter of `format` that means nothing.
    #[error("unrecognized format() type specifier \"{letter}\"")]
    FormatSpecifier {
        /// The letter.
        letter: char,
    },
    /// A template of `format` that ends within a specifier.
    #[error("unterminated format() type specifier")]
    FormatEnd,
    /// A place of a value that there is not.
    #[error("format specifies argument 0, but arguments are numbered from 1")]
    FormatPosition,
    /// A width of `format` that is no number.
    #[error("the width of format() must be a number")]
    FormatWidth,
    /// A width of `format` that would fill memory.
    #[error("requested length too large")]
    FormatTooWide,
    /// A NULL where `format` writes a name.
    #[error("null values cannot be formatted as an SQL identifier")]
    FormatNullName,
    /// A text that has no number in the places of a template's digits.
    #[error("invalid input syntax for type numeric: \"{text}\"")]
    NumberSyntax {
        /// The text.
        text: String,
    },
    /// A text that is no UUID.
    #[error("invalid input syntax for type uuid: \"{text}\"")]
    UuidSyntax {
        /// The text.
        text: String,
    },
    /// A text that is no regular expression.
    #[error("invalid regular expression: \"{text}\"")]
    PatternSyntax {
        /// The text.
        text: String,
    },
    /// A flag of a regular expression that there is not.
    #[error("invalid regular expression option: \"{flag}\"")]
    PatternFlag {
        /// The flag.
        flag: char,
    },
    /// A model that answered with something else than it promised.
    #[error("the model gave {found} instead of {expected}")]
    WrongModelOutput {
        /// What was promised.
        expected: String,
        /// What came.
        found: String,
    },
}

impl UdfError {
    /// The SQLSTATE of PostgreSQL's appendix A; pgvector's own choice where it has the error.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::DifferentDimensions { .. }
            | Self::UnexpectedDimensions { .. }
            | Self::NoDimensions { .. }
            | Self::VectorNan { .. }
            | Self::DifferentBits { .. }
            | Self::VectorInfinite { .. } => "22000",
            Self::NumberTemplate { .. } => "42601",
            Self::FormatArguments
            | Self::FormatSpecifier { .. }
            | Self::FormatEnd
            | Self::FormatPosition
            | Self::FormatWidth
            | Self::JsonShape { .. }
            | Self::PatternFlag { .. } => "22023",
            Self::FormatNullName => "22004",
            Self::NumberSyntax { .. } | Self::UuidSyntax { .. } => "22P02",
            Self::PatternSyntax { .. } => "2201B",
            Self::EscapeLength => "22025",
            Self::TimestampRange | Self::IntervalRange | Self::FieldRange => "22008",
            Self::UnknownZone { .. } | Self::NullName => "22023",
            Self::JsonSyntax { .. } | Self::ArraySyntax { .. } => "22P02",
            Self::FractionRange { .. } => "22003",
            Self::FractionNotConstant => "0A000",
            Self::TooManyDimensions { .. } | Self::TooManyBits | Self::FormatTooWide => "54000",
            Self::VectorSyntax { .. } | Self::BitSyntax { .. } => "22P02",
            Self::VectorRange { .. } | Self::Overflow | Self::Underflow => "22003",
            Self::NullElement => "22004",
            Self::NoFunction { .. } | Self::NoOperator { .. } => "42883",
            Self::TypeDimensions { .. } | Self::DifferentModels { .. } | Self::BitLength => "22023",
            Self::Unsupported { .. } => "0A000",
            Self::DimensionsNotConstant { .. } | Self::ModelNotConstant { .. } => "0A000",
            Self::NoCalendar => "22007",
            Self::WrongModelOutput { .. } => "58000",
        }
    }

    /// The longer story, a sentence, where there is one.
    pub fn detail(&self) -> Option<&'static str> {
        match self {
            Self::VectorSyntax { detail, .. } => *detail,
            Self::DifferentDimensions { .. }
            | Self::DifferentModels { .. }
            | Self::UnexpectedDimensions { .. }
            | Self::NoDimensions { .. }
            | Self::TooManyDimensions { .. }
            | Self::VectorRange { .. }
            | Self::VectorNan { .. }
            | Self::VectorInfinite { .. }
            | Self::Overflow
            | Self::Underflow
            | Self::DifferentBits { .. }
            | Self::BitSyntax { .. }
            | Self::BitLength
            | Self::TooManyBits
            | Self::Unsupported { .. }
            | Self::NullElement
            | Self::NoFunction { .. }
            | Self::NoOperator { .. }
            | Self::TypeDimensions { .. }
            | Self::DimensionsNotConstant { .. }
            | Self::ModelNotConstant { .. }
            | Self::NoCalendar
            | Self::NumberTemplate { .. }
            | Self::EscapeLength
            | Self::TimestampRange
            | Self::IntervalRange
            | Self::FieldRange
            | Self::UnknownZone { .. }
            | Self::JsonSyntax { .. }
            | Self::NullName
            | Self::FractionRange { .. }
            | Self::ArraySyntax { .. }
            | Self::JsonShape { .. }
            | Self::FormatArguments
            | Self::FormatSpecifier { .. }
            | Self::FormatEnd
            | Self::FormatPosition
            | Self::FormatWidth
            | Self::FormatTooWide
            | Self::FormatNullName
            | Self::NumberSyntax { .. }
            | Self::UuidSyntax { .. }
            | Self::PatternSyntax { .. }
            | Self::PatternFlag { .. }
            | Self::FractionNotConstant
            | Self::WrongModelOutput { .. } => None,
        }
    }

    /// What to do about it, a sentence, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::DifferentDimensions { .. } => {
                Some("Vectors compare only when the same model made them.")
            }
            Self::DifferentModels { .. } => Some(
                "Choose the rows of one model with WHERE, or embed the text with theirs: embed('…', 'model'). The functions in FROM take a model as well: model => 'model'.",
            ),
            Self::VectorSyntax { .. } => Some("Write a vector as '[1,2,3]'."),
            Self::NoFunction { .. } => Some(
                "No function matches the given name and argument types. You might need to add explicit type casts.",
            ),
            Self::NoOperator { .. } => Some(
                "No operator matches the given name and argument types. You might need to add explicit type casts.",
            ),
            Self::ModelNotConstant { .. } => Some(
                "Write the model's name as a literal, such as embed(text, 'all-minilm-l6-v2-int8').",
            ),
            Self::DimensionsNotConstant { .. } => {
                Some("Write them as a literal, such as to_vector(value, 384).")
            }
            Self::FormatSpecifier { .. } => Some("For a single \"%\" use \"%%\"."),
            Self::EscapeLength => Some("Escape string must be empty or one character."),
            Self::UnknownZone { .. } => Some("Zones have names such as 'Europe/Berlin' or 'UTC'."),
            Self::NoCalendar => Some("Intervals are not tied to specific calendar dates."),
            Self::UnexpectedDimensions { .. }
            | Self::NoDimensions { .. }
            | Self::TooManyDimensions { .. }
            | Self::TypeDimensions { .. }
            | Self::VectorRange { .. }
            | Self::VectorNan { .. }
            | Self::VectorInfinite { .. }
            | Self::Overflow
            | Self::Underflow
            | Self::DifferentBits { .. }
            | Self::BitSyntax { .. }
            | Self::BitLength
            | Self::TooManyBits
            | Self::Unsupported { .. }
            | Self::NullElement
            | Self::NumberTemplate { .. }
            | Self::TimestampRange
            | Self::IntervalRange
            | Self::FieldRange
            | Self::JsonSyntax { .. }
            | Self::NullName
            | Self::FractionRange { .. }
            | Self::ArraySyntax { .. }
            | Self::JsonShape { .. }
            | Self::FormatArguments
            | Self::FormatEnd
            | Self::FormatPosition
            | Self::FormatWidth
            | Self::FormatTooWide
            | Self::FormatNullName
            | Self::NumberSyntax { .. }
            | Self::UuidSyntax { .. }
            | Self::PatternSyntax { .. }
            | Self::PatternFlag { .. }
            | Self::FractionNotConstant
            | Self::WrongModelOutput { .. } => None,
        }
    }

    /// The error that DataFusion carries, if it is one of ours.
    pub fn find(error: &DataFusionError) -> Option<&Self> {
        match error {
            DataFusionError::External(inner) => inner.downcast_ref(),
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
                Self::find(inner)
            }
            DataFusionError::Shared(inner) => Self::find(inner),
            DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
                arrow::error::ArrowError::ExternalError(inner) => inner
                    .downcast_ref()
                    .or_else(|| inner.downcast_ref::<DataFusionError>().and_then(Self::find)),
                _ => None,
            },
            DataFusionError::Collection(errors) => errors.iter().find_map(Self::find),
            _ => None,
        }
    }
}

impl From<UdfError> for DataFusionError {
    fn from(error: UdfError) -> Self {
        Self::External(Box::new(error))
    }
}
