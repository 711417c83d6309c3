//! The distances and their operators through SQL: operands of every type, NULLs, refusals,
//! parameters.

use datafusion::common::ParamValues;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;

use super::{plan, query, refusal, session, shown, value};
use crate::VECTOR_TAG;

#[tokio::test]
async fn operators_and_functions_take_every_spelling_of_a_vector() {
    let cases = [
        ("SELECT '[0,0]' <-> '[3,4]'", "5"),
        ("SELECT ARRAY[0,0] <-> ARRAY[3.0,4.0]", "5"),
        ("SELECT ARRAY[0,0]::smallint[] <-> '[3,4]'::vector(2)", "5"),
        ("SELECT '[0,0]'::vector <-> ARRAY[3,4]::real[]", "5"),
        ("SELECT '[0,0]' OPERATOR(public.<->) '[3,4]'", "5"),
        ("SELECT '[1,2,3]' <#> '[1,1,1]'", "-6"),
        ("SELECT '[1,2,3]' <+> '[1,1,1]'", "3"),
        ("SELECT '[1,0]' <=> '[0,1]'", "1"),
        ("SELECT 1 - ('[1,2,2]' <=> '[1,2,2]')", "1"),
        ("SELECT cosine_distance('[1,0]'::text, ARRAY[1,0])", "0"),
        ("SELECT l2_distance(v, '[1,1]') FROM (VALUES ('[1,2]')) AS t (v)", "1"),
    ];
    for (sql, expected) in cases {
        assert_eq!(value(sql).await.expect(sql), expected, "{sql}");
    }
}

#[tokio::test]
async fn null_in_is_null_out() {
    for sql in [
        "SELECT NULL <=> '[1,2]'",
        "SELECT '[1,2]' <-> NULL",
        "SELECT cosine_distance(NULL, NULL)",
        "SELECT NULL::vector(2) <#> '[1,2]'",
        "SELECT l1_distance(v, '[1,2]') FROM (VALUES (NULL::text)) AS t (v)",
    ] {
        assert_eq!(value(sql).await.expect(sql), "", "{sql}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let cases = [
        ("SELECT '[1,2,3]' <=> '[1,2]'", "different vector dimensions 3 and 2", "22000"),
        ("SELECT l2_distance(ARRAY[1], '[1,2]')", "different vector dimensions 1 and 2", "22000"),
        ("SELECT '[1,2' <-> '[1,2]'", "invalid input syntax for type vector: \"[1,2\"", "22P02"),
        ("SELECT 1 <=> '[1]'", "operator does not exist: bigint <=> text", "42883"),
        ("SELECT true <+> 'x'", "operator does not exist: boolean <+> text", "42883"),
        ("SELECT ARRAY['a'] <-> '[1]'", "operator does not exist: text[] <-> text", "42883"),
        ("SELECT ARRAY[1,NULL] <-> '[1,2]'", "array must not contain nulls", "22004"),
    ];
    for (sql, expected, expected_sqlstate) in cases {
        let (message, sqlstate) = refusal(sql).await;
        assert_eq!((message.as_str(), sqlstate), (expected, expected_sqlstate), "{sql}");
    }
}

#[tokio::test]
async fn a_wrong_literal_is_refused_where_there_is_no_row() {
    let session = session();
    query(&session, "CREATE TABLE t (v real[])").await.expect("create");
    let error = query(&session, "SELECT v <-> 'x' FROM t").await.expect_err("not a vector");
    let error = crate::UdfError::find(&error).expect("ours");
    assert_eq!(error.sqlstate(), "22P02");
}

#[tokio::test]
async fn rows_are_ordered_by_distance_with_null_last() {
    let sql = "SELECT v FROM (VALUES ('[0,0]'), ('[0,1]'), ('[1,0]'), ('[1,1]')) AS t (v) \
               ORDER BY cosine_distance(v, '[1,0]')";
    let batches = query(&session(), sql).await.expect(sql);
    let rows: Vec<String> = batches
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).map(|row| shown(batch.column(0), row)))
        .collect();
    assert_eq!(rows, ["[1,0]", "[1,1]", "[0,1]", "[0,0]"]);
}

#[tokio::test]
async fn a_parameter_is_a_vector_and_may_come_as_text_or_array() {
    let floats = |values: &[f32]| {
        let values: Vec<_> = values.iter().map(|value| ScalarValue::from(*value)).collect();
        ScalarValue::new_list_nullable(&values, &arrow::datatypes::DataType::Float32)
    };
    let doubles = ScalarValue::new_list_nullable(
        &[ScalarValue::from(3.0f64), ScalarValue::from(4.0f64)],
        &arrow::datatypes::DataType::Float64,
    );
    let values = [
        ScalarValue::from("[3,4]"),
        ScalarValue::List(floats(&[3.0, 4.0])),
        ScalarValue::List(doubles),
    ];
    for value in values {
        let frame = plan(&session(), "SELECT '[0,0]' <-> $1").await.expect("plan");
        let mut tags = Vec::new();
        frame
            .logical_plan()
            .apply_with_subqueries(|node| {
                node.apply_expressions(|expr| {
                    expr.apply(|expr| {
                        if let Expr::Placeholder(placeholder) = expr {
                            let field = placeholder.field.as_ref().expect("a type");
                            tags.push(field.metadata()[VECTOR_TAG.0].clone());
                        }
                        Ok(TreeNodeRecursion::Continue)
                    })
                })
            })
            .expect("walk");
        assert_eq!(tags, ["vector"]);
        let bound = frame.with_param_values(ParamValues::from(vec![value.clone()])).expect("bind");
        let batches = bound.collect().await.expect("collect");
        assert_eq!(shown(batches[0].column(0), 0), "5", "{value:?}");
    }
}
