//! `BETWEEN SYMMETRIC`, whose bounds may stand in either order. sqlparser does not know the word, so the first
//! bound is marked in the tokens, and the comparison is written twice once it is a tree.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Statement,
    UnaryOperator, visit_expressions_mut,
};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::calls::name_of;

/// What the first bound is given to.
const MARK: &str = "between_symmetric";

/// `BETWEEN SYMMETRIC low AND` as `BETWEEN between_symmetric(low) AND`; `ASYMMETRIC` says nothing.
pub(super) fn mark(tokens: &mut Vec<TokenWithSpan>) {
    let mut at = 1;
    while at < tokens.len() {
        if !is_word(&tokens[at - 1], "between") {
            at += 1;
            continue;
        }
        if is_word(&tokens[at], "asymmetric") {
            tokens.remove(at);
        } else if is_word(&tokens[at], "symmetric")
            && let Some(and) = end_of_bound(&tokens[at + 1..])
        {
            let span = tokens[at].span;
            let spanned = |token| TokenWithSpan { token, span };
            tokens.insert(at + 1 + and, spanned(Token::RParen));
            let call = [Token::make_word(MARK, None), Token::LParen].map(spanned);
            tokens.splice(at..=at, call);
        }
        at += 1;
    }
}

/// Where the `AND` behind the first bound is.
fn end_of_bound(tokens: &[TokenWithSpan]) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.checked_sub(1)?,
            _ if depth == 0 && is_word(token, "and") => return Some(at),
            _ => {}
        }
    }
    None
}

fn is_word(token: &TokenWithSpan, word: &str) -> bool {
    matches!(&token.token, Token::Word(found) if found.quote_style.is_none()
        && found.value.eq_ignore_ascii_case(word))
}

/// Writes the marked comparisons in both orders.
pub(super) fn rewrite(statement: &mut Statement) {
    let _: ControlFlow<()> = visit_expressions_mut(statement, |expr| {
        if let Expr::Between { expr: value, negated, low, high } = expr
            && let Some(bound) = marked(low)
        {
            let between = |low: &Expr, high: &Expr| {
                Box::new(Expr::Between {
                    expr: value.clone(),
                    negated: false,
                    low: Box::new(low.clone()),
                    high: Box::new(high.clone()),
                })
            };
            let either = Expr::Nested(Box::new(Expr::BinaryOp {
                left: between(&bound, high),
                op: BinaryOperator::Or,
                right: between(high, &bound),
            }));
            *expr = if *negated {
                Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(either) }
            } else {
                either
            };
        }
        ControlFlow::Continue(())
    });
}

fn marked(low: &Expr) -> Option<Expr> {
    let Expr::Function(function) = low else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(bound))]
            if name_of(function).as_deref() == Some(MARK) =>
        {
            Some(Expr::Nested(Box::new(bound.clone())))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::dialect::planned;

    #[test]
    fn bounds_stand_in_either_order() {
        assert_eq!(
            planned("SELECT 1 FROM t WHERE x BETWEEN SYMMETRIC f(3, 4) AND 1 AND y"),
            "SELECT 1 FROM t WHERE (x BETWEEN (f(3, 4)) AND 1 OR x BETWEEN 1 AND (f(3, 4))) AND y"
        );
        assert_eq!(
            planned("SELECT 1 FROM t WHERE x NOT BETWEEN SYMMETRIC 3 AND 1"),
            "SELECT 1 FROM t WHERE NOT (x BETWEEN (3) AND 1 OR x BETWEEN 1 AND (3))"
        );
        assert_eq!(
            planned("SELECT 1 FROM t WHERE x BETWEEN ASYMMETRIC 3 AND 1"),
            "SELECT 1 FROM t WHERE x BETWEEN 3 AND 1"
        );
    }
}
