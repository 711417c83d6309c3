//! `::vector` and `to_vector`: what is taken, what is refused, and the type that comes out.

use arrow::datatypes::DataType;

use super::{query, refusal, session, value};
use crate::VECTOR_TAG;

#[tokio::test]
async fn texts_arrays_and_vectors_become_vectors() {
    let cases = [
        ("SELECT '[1,2,3]'::vector", "[1,2,3]"),
        ("SELECT CAST(' [1, 2] ' AS vector(2))", "[1,2]"),
        ("SELECT ARRAY[1.5, 2]::vector(2)", "[1.5,2]"),
        ("SELECT ('[1,2]'::vector(2))::vector", "[1,2]"),
        ("SELECT l2_normalize(ARRAY[0, 2]::vector(2))", "[0,1]"),
        ("SELECT NULL::vector(3)", ""),
        ("SELECT v::vector(2) FROM (VALUES ('[1,2]')) AS t (v)", "[1,2]"),
    ];
    for (sql, expected) in cases {
        assert_eq!(value(sql).await.expect(sql), expected, "{sql}");
    }
}

#[tokio::test]
async fn wrong_values_are_refused_as_pgvector_does() {
    let cases = [
        ("SELECT '[1,2]'::vector(3)", "expected 3 dimensions, not 2", "22000"),
        ("SELECT ARRAY[1,2]::vector(3)", "expected 3 dimensions, not 2", "22000"),
        ("SELECT ARRAY[1,NULL]::vector", "array must not contain nulls", "22004"),
        ("SELECT 'x'::vector", "invalid input syntax for type vector: \"x\"", "22P02"),
        ("SELECT '[]'::vector", "vector must have at least 1 dimension", "22000"),
        ("SELECT ARRAY[1e300]::vector", "is out of range for type vector", "22003"),
        (
            "SELECT to_vector('[1]', 0)",
            "dimensions for type vector must be between 1 and 16000",
            "22023",
        ),
        (
            "SELECT to_vector('[1]', n) FROM (VALUES (1)) AS t (n)",
            "the dimensions of to_vector() must be a constant",
            "0A000",
        ),
    ];
    for (sql, expected, expected_sqlstate) in cases {
        let (message, sqlstate) = refusal(sql).await;
        assert!(message.ends_with(expected), "{sql}: {message}");
        assert_eq!(sqlstate, expected_sqlstate, "{sql}");
    }
}

#[tokio::test]
async fn the_type_is_tagged_and_fixed_where_its_length_is_known() {
    let sql = "SELECT '[1,2]'::vector(2) AS a, '[1,2]'::vector AS b, l2_normalize('[1,2]'::vector(2)), \
               embed('a')";
    let batches = query(&session(), sql).await.expect(sql);
    let schema = batches[0].schema();
    let (key, tag) = VECTOR_TAG;
    for field in schema.fields() {
        assert_eq!(field.metadata().get(key).map(String::as_str), Some(tag), "{}", field.name());
    }
    let lengths = schema.fields().iter().map(|field| match field.data_type() {
        DataType::FixedSizeList(_, length) => Some(*length),
        _ => None,
    });
    let lengths = lengths.collect::<Vec<_>>();
    assert_eq!(lengths, [Some(2), None, Some(2), Some(384)]);
}
