//! Vectors as pgvector has them: texts and arrays of numbers go in, distances come out.
//!
//! A vector is a `FixedSizeList`, `List` or `LargeList` of numbers, or a text such as
//! `'[1,2,3]'`; a list of `Float16` is a `halfvec`. Values are read from Arrow's buffers directly, sums are kept in `f64`, and a
//! constant operand is read once for a batch. NULL in, NULL out. Indexes are elsewhere.

mod aggregate;
mod arithmetic;
mod array;
mod binary_quantize;
mod bit;
mod bit_distance;
mod bits;
mod cast;
mod chosen;
mod compare;
mod cosine_distance;
mod distance;
pub mod exact;
mod hamming_distance;
mod inner_product;
mod jaccard_distance;
mod kind;
mod l1_distance;
mod l2_distance;
mod l2_normalize;
mod literals;
mod of_model;
mod operand;
mod operators;
mod output;
mod subvector;
mod text;
mod to_vector;
mod tokens;
mod types;
mod unary;
mod vector_add;
mod vector_concat;
mod vector_dims;
mod vector_mul;
mod vector_norm;
mod vector_out;
mod vector_sub;
mod whole_sums;

use crate::doc::Function;

pub use self::aggregate::aggregate_docs;
pub(crate) use self::aggregate::register as register_aggregates;
pub use self::bit::BIT_LITERAL;
pub use self::bits::{
    bit_field, bits_text, bits_type, bits_value, is_bits, is_varying, parse_bits, varbit_field,
};
pub use self::cast::VectorCast;
pub(crate) use self::cast::writer_of;
pub(crate) use self::chosen::register as register_chosen;
pub use self::kind::{VectorKind, is_halfvec};
pub use self::literals::{VectorLiterals, as_vector, vector_kind};
pub use self::of_model::{
    MODEL_CHECK, MODEL_COLUMN_TAG, MODEL_TAG, ModelRewrite, check_model, compares_vectors,
    source_column, vectors_without_models,
};
pub use self::operators::OperatorPlanner;
pub(crate) use self::output::VectorColumn;
pub use self::output::halfvec_value;
pub use self::text::{check_dimensions, parse_halfvec, parse_vector};
pub use self::tokens::join_operators;
pub use self::types::{MAX_DIMENSIONS, VECTOR_TAG, halfvec_field};
pub(crate) use self::types::{field_type_names, tagged, type_names};
pub use self::vector_out::vector_text;

/// The functions of this folder.
pub fn functions() -> Vec<Function> {
    let mut functions = vec![
        cosine_distance::function(),
        l2_distance::function(),
        inner_product::function(),
        l1_distance::function(),
        vector_dims::function(),
        vector_norm::function(),
        l2_normalize::function(),
        subvector::function(),
        vector_add::function(),
        vector_sub::function(),
        vector_mul::function(),
        vector_concat::function(),
        binary_quantize::function(),
        hamming_distance::function(),
        jaccard_distance::function(),
        array::function(),
        vector_out::function(),
    ];
    functions.extend(to_vector::functions());
    functions.extend(bit::functions());
    functions.extend(compare::functions());
    functions
}

const SECTION: &str = "Vectors";
