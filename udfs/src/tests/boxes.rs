//! `iou` and `box_area` against `vigil_models::BBox` and on what is not a plain box.

use proptest::prelude::*;
use vigil_models::BBox;

use super::{query, refusal, session, shown, value};

#[tokio::test]
async fn any_numeric_type_is_taken() {
    let sql = "SELECT iou(0::smallint, 0::real, 2.0::numeric(5,2), 2::bigint, 0, 0, 2, 4::float8)";
    assert_eq!(value(sql).await.expect(sql), "0.5");
    assert_eq!(value("SELECT box_area(0, NULL, 1, 1)").await.expect("null"), "");
    let (message, sqlstate) = refusal("SELECT box_area(0, 0, 1)").await;
    assert_eq!(message, "function box_area(bigint, bigint, bigint) does not exist");
    assert_eq!(sqlstate, "42883");
}

#[tokio::test]
async fn rows_with_a_null_are_null_and_the_others_are_not() {
    let sql = "SELECT box_area(0, 0, x, y), iou(0, 0, x, y, 0, 0, 2, 2) \
               FROM (VALUES (1, 2), (NULL, 2), (2, NULL), (2, 2), (-1, 2)) AS t (x, y)";
    let batches = query(&session(), sql).await.expect(sql);
    let column = |index: usize| -> Vec<String> {
        let values = batches.iter().flat_map(|batch| {
            (0..batch.num_rows()).map(move |row| shown(batch.column(index), row))
        });
        values.collect()
    };
    assert_eq!(column(0), ["2", "", "", "4", "0"]);
    assert_eq!(column(1), ["0.5", "", "", "1", "0"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Edges on a grid of quarters, so that `f32` holds them and the sums exactly.
    #[test]
    fn agrees_with_the_boxes_of_the_models(edges in prop::array::uniform8(-400i32..400)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let e = edges.map(|edge| f64::from(edge) / 4.0);
        let f = e.map(|edge| edge as f32);
        let (a, b) = (BBox::new(f[0], f[1], f[2], f[3]), BBox::new(f[4], f[5], f[6], f[7]));
        let list = e.map(|edge| format!("{edge}::float8")).join(", ");
        let iou = runtime.block_on(value(&format!("SELECT iou({list})"))).expect("iou");
        let iou: f64 = iou.parse().expect("a number");
        prop_assert!((iou - f64::from(a.iou(&b))).abs() < 1e-6, "{} {:?}", iou, a.iou(&b));
        let four = e[..4].iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
        let area = runtime.block_on(value(&format!("SELECT box_area({four})"))).expect("area");
        prop_assert_eq!(area.parse::<f64>().expect("a number"), f64::from(a.area()));
    }
}
