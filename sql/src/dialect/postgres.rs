//! sqlparser's PostgreSQL, without what makes it read a statement in exponential time.
//!
//! Its dialect lets an expression be the name of an argument, as in `json_object(lower(k): v)`. So its
//! parser reads each argument as a name first and, as hardly any is one, then once more: `f(f(f(…)))`
//! is read twice on each level, and 22 levels take six seconds. Names that are identifiers or texts are
//! told apart by one token and remain.
//!
//! And it reads again what it could not read one way, as in `CAST(CAST(… a b …))`, on each level. So it
//! is given so many expressions to begin with, by the length of the statement.

use std::any::TypeId;
use std::cell::Cell;

use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

/// What sqlparser's parser asks; nearly all answers are sqlparser's own.
#[derive(Debug)]
pub(crate) struct Postgres {
    /// Expressions that the parser may still begin with.
    left: Cell<usize>,
}

/// Expressions that a statement may take for each of its tokens; one is usual.
const FOR_EACH_TOKEN: usize = 4;
/// The same for the shortest statement: some hundredths of a second.
const AT_LEAST: usize = 20_000;

impl Postgres {
    /// For a statement of so many tokens.
    pub(crate) fn for_tokens(tokens: usize) -> Self {
        Self { left: Cell::new(AT_LEAST + FOR_EACH_TOKEN * tokens) }
    }

    /// For a text; it has no more tokens than bytes.
    pub(crate) fn for_text(text: &str) -> Self {
        Self::for_tokens(text.len())
    }
}

/// sqlparser's dialect.
const GIVEN: PostgreSqlDialect = PostgreSqlDialect {};

/// Methods without arguments that answer yes or no and are the given dialect's.
macro_rules! as_given {
    ($($method:ident)*) => { $(fn $method(&self) -> bool { GIVEN.$method() })* };
}

impl Dialect for Postgres {
    /// Those parts of the parser that ask which dialect it is take it for the given one.
    fn dialect(&self) -> TypeId {
        GIVEN.dialect()
    }

    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        false
    }

    /// Once nothing is left every way ends at once.
    fn parse_prefix(&self, _: &mut Parser) -> Option<Result<Expr, ParserError>> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                None
            }
            None => Some(Err(ParserError::RecursionLimitExceeded)),
        }
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        GIVEN.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, character: char) -> bool {
        GIVEN.is_delimited_identifier_start(character)
    }

    fn is_identifier_start(&self, character: char) -> bool {
        GIVEN.is_identifier_start(character)
    }

    fn is_identifier_part(&self, character: char) -> bool {
        GIVEN.is_identifier_part(character)
    }

    fn is_custom_operator_part(&self, character: char) -> bool {
        GIVEN.is_custom_operator_part(character)
    }

    /// What `NOT` stands before is not read once more as what a function of that name is called with.
    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        keyword == Keyword::NOT || GIVEN.is_reserved_for_identifier(keyword)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        GIVEN.get_next_precedence(parser)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        GIVEN.prec_value(precedence)
    }

    as_given! {
        supports_unicode_string_literal
        supports_filter_during_aggregation
        supports_group_by_expr
        allow_extract_custom
        allow_extract_single_quotes
        supports_create_index_with_clause
        supports_explain_with_utility_options
        supports_listen_notify
        supports_factorial_operator
        supports_bitwise_shift_operators
        supports_comment_on
        supports_load_extension
        supports_named_fn_args_with_colon_operator
        supports_empty_projections
        supports_nested_comments
        supports_string_escape_constant
        supports_numeric_literal_underscores
        supports_array_typedef_with_brackets
        supports_geometric_types
        supports_set_names
        supports_alter_column_type_using
        supports_notnull_operator
        supports_interval_options
        supports_insert_table_alias
        supports_create_table_like_parenthesized
        supports_select_wildcard_with_alias
        supports_comma_separated_trim
        supports_xml_expressions
        supports_comment_optimizer_hint
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::Statement;

    use super::*;

    fn read(sql: &str) -> Result<Vec<Statement>, ParserError> {
        Parser::parse_sql(&Postgres::for_text(sql), sql)
    }

    /// Each level would double the time: this would outlive whoever waits for it.
    #[test]
    fn calls_within_calls_are_read_once() {
        for levels in [10, 45] {
            let (open, close) = ("abs(".repeat(levels), ")".repeat(levels));
            assert_eq!(read(&format!("SELECT {open}1{close}")).expect("is read").len(), 1);
            assert!(read(&format!("SELECT {open}1{}", &close[1..])).is_err());
            assert!(read(&format!("SELECT {open}a b{close}")).is_err());
        }
    }

    #[test]
    fn what_is_read_again_and_again_ends() {
        for (open, close) in [
            ("CAST(", " AS int)"),
            ("ARRAY[", "]"),
            ("INTERVAL (", ")"),
            ("substring(", " FROM 1)"),
            ("ceil(", ")"),
        ] {
            let (open, close) = (open.repeat(40), close.repeat(40));
            assert!(read(&format!("SELECT {open}a b{close}")).is_err(), "{open}");
        }
        let list = format!("SELECT a IN ({}1)", "CAST(- (1) AS int), ".repeat(10_000));
        assert!(read(&list).is_ok());
    }

    #[test]
    fn arguments_have_names() {
        for (sql, written) in [
            ("SELECT make_interval(days => 3)", "SELECT make_interval(days => 3)"),
            ("SELECT json_object('a': 1)", "SELECT json_object('a' : 1)"),
            ("SELECT json_object('a' VALUE 1)", "SELECT json_object('a' VALUE 1)"),
        ] {
            assert_eq!(read(sql).expect(sql)[0].to_string(), written);
        }
    }

    #[test]
    fn not_is_no_function() {
        let nested =
            |levels: usize| format!("SELECT {}a{}", "NOT (".repeat(levels), ")".repeat(levels));
        assert!(read(&nested(10)).is_ok());
        assert_eq!(read(&nested(40)), Err(ParserError::RecursionLimitExceeded));
        assert!(read("SELECT NOT a, a IS NOT NULL, a NOT IN (1), NOT EXISTS (SELECT 1)").is_ok());
    }

    /// What sqlparser's own dialect reads is read as the same tree.
    #[test]
    fn all_else_is_read_as_before() {
        for sql in [
            "SELECT a->>'b', a @> b, b COLLATE \"C\", ARRAY[1]::int[], !! 5, 5 !, a NOTNULL",
            "SELECT count(*) FILTER (WHERE a), extract('hour' FROM b), e'\\n', U&'\\0041', 1_000",
            "SELECT FROM t",
            "LISTEN a",
            "SET NAMES 'UTF8'",
            "COMMENT ON TABLE t IS 'x'",
            "SELECT INTERVAL '1' YEAR, interval(3) '1 s', point '(1,2)', t.* AS x FROM t /* a /* b */ */",
            "EXPLAIN (ANALYZE, FORMAT JSON) SELECT 1",
            "SELECT trim(a, b), 1 << 2, é$1 FROM \"T\"",
            "CREATE INDEX i ON t USING hnsw (a vector_l2_ops) WITH (m = 16)",
            "ALTER TABLE t ALTER COLUMN a TYPE int USING a::int",
            "INSERT INTO t AS u VALUES (1)",
        ] {
            let given = Parser::parse_sql(&GIVEN, sql).expect(sql);
            assert_eq!(read(sql).expect(sql), given, "{sql}");
        }
    }
}
