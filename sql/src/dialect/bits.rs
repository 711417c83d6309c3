//! Literals of bits that DataFusion does not plan: `B'101'` and `X'1F'` where the tokens have not been
//! joined, as in a query of the catalog, and `bit '101'`, which has as many bits as are written.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Statement, Value, VisitMut, VisitorMut,
};
use vigil_udfs::{BIT_LITERAL, parse_bits};

use super::calls::call;

/// Rewrites the literals in `statement`. What is no text of bits stays, and its type refuses it.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Literals);
}

struct Literals;

impl VisitorMut for Literals {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let text = |text: String| Expr::value(Value::SingleQuotedString(text));
        match expr {
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedByteStringLiteral(bits) => {
                    *expr = call(BIT_LITERAL, vec![text(bits.clone())]);
                }
                Value::HexStringLiteral(digits) => {
                    *expr = call(BIT_LITERAL, vec![text(format!("x{digits}"))]);
                }
                _ => {}
            },
            Expr::TypedString(typed) if matches!(typed.data_type, DataType::Bit(None)) => {
                if let Value::SingleQuotedString(written) = &typed.value.value
                    && let Ok(bits) = parse_bits(written)
                    && let Ok(length @ 1..) = u64::try_from(bits.len())
                {
                    *expr = Expr::Cast {
                        kind: CastKind::Cast,
                        expr: Box::new(text(written.clone())),
                        data_type: DataType::Bit(Some(length)),
                        array: false,
                        format: None,
                    };
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use crate::dialect::{StatementKind, parse};

    #[test]
    fn literals_become_what_datafusion_plans() {
        for (sql, expected) in [
            ("SELECT B'101'", "SELECT bit_literal('101')"),
            ("SELECT pg_typeof(X'1F')", "SELECT pg_typeof(bit_literal('x1F'))"),
            ("SELECT bit '101'", "SELECT CAST('101' AS BIT(3))"),
            ("SELECT bit(2) '101'", "SELECT BIT(2) '101'"),
        ] {
            let statements = parse(sql).expect(sql);
            let (StatementKind::Ordinary(planned) | StatementKind::Catalog { planned, .. }) =
                statements[0].kind()
            else {
                panic!("{sql} is not ours")
            };
            assert_eq!(planned.to_string(), expected);
        }
    }
}
