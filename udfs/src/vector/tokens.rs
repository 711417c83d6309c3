//! The spelling of pgvector's operators, which sqlparser's tokenizer does not know as such: it
//! takes `<+>`, `<~>` and `<%>` for three tokens, and `<=>` for MySQL's comparison, which binds as
//! `=` does. `B'101'` and `X'1F'`, bits that DataFusion does not plan as
//! such, become calls of a function.

use datafusion::logical_expr::sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use super::bit::BIT_LITERAL;

/// The tokens of a statement with `<+>`, `<~>`, `<%>` and `<=>` as operators of PostgreSQL's kind: they bind
/// more tightly than comparisons and less than `+`, so `a <=> b < 0.5` compares the distance.
///
/// To be applied between the tokenizer and the parser. They are joined only where nothing is
/// between its characters; a `<` before a signed number stays one.
pub fn join_operators(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut joined: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let token = match token.token {
            Token::Spaceship => TokenWithSpan { token: operator("<=>"), span: token.span },
            Token::SingleQuotedByteStringLiteral(bits) => {
                joined.extend(literal_of_bits(bits, token.span));
                continue;
            }
            Token::HexStringLiteral(digits) => {
                joined.extend(literal_of_bits(format!("x{digits}"), token.span));
                continue;
            }
            Token::Gt => match joined.as_slice() {
                [.., first, middle]
                    if first.token == Token::Lt
                        && spelling(&middle.token).is_some()
                        && adjacent(first.span, middle.span)
                        && adjacent(middle.span, token.span) =>
                {
                    let span = Span::new(first.span.start, token.span.end);
                    let token = operator(spelling(&middle.token).unwrap_or_default());
                    joined.truncate(joined.len() - 2);
                    TokenWithSpan { token, span }
                }
                _ => token,
            },
            _ => token,
        };
        joined.push(token);
    }
    joined
}

/// A call of `to_bit`, which DataFusion plans.
fn literal_of_bits(bits: String, span: Span) -> [TokenWithSpan; 4] {
    let name = Token::make_word(BIT_LITERAL, None);
    let parts = [name, Token::LParen, Token::SingleQuotedString(bits), Token::RParen];
    parts.map(|token| TokenWithSpan { token, span })
}

/// The operator that a token between `<` and `>` makes.
fn spelling(middle: &Token) -> Option<&'static str> {
    match middle {
        Token::Plus => Some("<+>"),
        Token::Tilde => Some("<~>"),
        Token::Mod => Some("<%>"),
        _ => None,
    }
}

fn operator(spelling: &str) -> Token {
    Token::CustomBinaryOperator(spelling.to_owned())
}

fn adjacent(left: Span, right: Span) -> bool {
    left.end == right.start
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::logical_expr::sqlparser::parser::Parser;
    use datafusion::logical_expr::sqlparser::tokenizer::Tokenizer;

    use super::*;

    /// The expression with the parentheses that its parse means.
    fn parsed(sql: &str) -> String {
        let dialect = PostgreSqlDialect {};
        let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location().expect("tokens");
        let tokens = join_operators(tokens);
        let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
        let expr = parser.parse_expr().expect(sql);
        assert_eq!(parser.peek_token().token, Token::EOF, "{sql}");
        nested(&expr)
    }

    fn nested(expr: &datafusion::logical_expr::sqlparser::ast::Expr) -> String {
        use datafusion::logical_expr::sqlparser::ast::Expr;
        match expr {
            Expr::BinaryOp { left, op, right } => {
                format!("({} {op} {})", nested(left), nested(right))
            }
            other => other.to_string(),
        }
    }

    #[test]
    fn operators_bind_as_in_postgresql() {
        let cases = [
            ("a <=> b < 0.5", "((a <=> b) < 0.5)"),
            ("0.5 > a <=> b", "(0.5 > (a <=> b))"),
            ("0.5 > a <+> b", "(0.5 > (a <+> b))"),
            ("a<+>b AND c<->d = 1", "((a <+> b) AND ((c <-> d) = 1))"),
            ("a <~> b < 3", "((a <~> b) < 3)"),
            ("a <%> b", "(a <%> b)"),
            ("B'101' <~> b'110'", "(bit_literal('101') <~> bit_literal('110'))"),
            ("X'1F' = a", "(bit_literal('x1F') = a)"),
            ("1 - a <=> b", "((1 - a) <=> b)"),
            ("a <+1", "(a < +1)"),
        ];
        for (sql, expected) in cases {
            assert_eq!(parsed(sql), expected, "{sql}");
        }
    }
}
