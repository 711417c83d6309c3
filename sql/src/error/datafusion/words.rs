//! What DataFusion and Arrow say of usual mistakes, in PostgreSQL's words and with its SQLSTATE: their text
//! goes in. What is not known here stays as it is.

use super::{SqlError, between_quotes, no_operator, postgres_type, query};

/// Texts of DataFusion, in lower case, with PostgreSQL's SQLSTATE and words for them.
const FIXED: [(&str, &str, &str); 14] = [
    (
        "aggregate function calls cannot be nested",
        "42803",
        "aggregate function calls cannot be nested",
    ),
    ("logical expression windowfunction", "42P20", "window functions are not allowed here"),
    (
        "select distinct on expressions must match",
        "42P10",
        "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
    ),
    (
        "for select distinct, order by expressions",
        "42P10",
        "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
    ),
    (
        "select * with no tables specified",
        "42601",
        "SELECT * with no tables specified is not valid",
    ),
    ("the subquery should only return one column", "42601", "subquery must return only one column"),
    ("expected limit to be an integer", "42804", "argument of LIMIT must be type bigint"),
    ("expected offset to be an integer", "42804", "argument of OFFSET must be type bigint"),
    ("invalid escape character in like expression", "22025", "invalid escape string"),
    ("step can't be 0", "22023", "step size cannot equal zero"),
    ("step cannot be zero", "22023", "step size cannot equal zero"),
    ("invalid unicode scalar value: -", "22023", "character number must be positive"),
    (
        "can not find compatible types to compare struct",
        "42601",
        "unequal number of entries in row expressions",
    ),
    ("compound identifier: ", "42601", "improper qualified name (too many dotted names)"),
];

/// Sub-queries that are left when nothing knew how to plan them, as DataFusion names them.
const SUBQUERIES: [&str; 4] = [
    "logical expression outerreferencecolumn",
    "logical expression scalarsubquery",
    "logical expression insubquery",
    "logical expression exists",
];

/// PostgreSQL's error for `text`, which begins with none of the prefixes of DataFusion.
pub(super) fn postgresql(text: &str) -> Option<SqlError> {
    let lower = text.to_ascii_lowercase();
    if let Some((_, sqlstate, message)) = FIXED.iter().find(|(known, ..)| lower.contains(known)) {
        return Some(query(sqlstate, message));
    }
    if SUBQUERIES.iter().any(|known| lower.contains(known)) {
        return Some(SqlError::Query {
            sqlstate: "0A000",
            message:
                "this form of a sub-query that reads columns of the outer query is not supported"
                    .into(),
            detail: None,
            hint: Some(
                "It may compare with them, aggregate, order and limit; often a join says the same."
                    .into(),
            ),
        });
    }
    names(text, &lower).or_else(|| types(text, &lower)).or_else(|| values(text, &lower))
}

/// Names that do not exist, or exist twice.
fn names(text: &str, lower: &str) -> Option<SqlError> {
    if let Some(name) = text.strip_prefix("Invalid qualifier ") {
        return Some(query("42P01", &format!("missing FROM-clause entry for table \"{name}\"")));
    }
    if lower.starts_with("with query name ") && lower.ends_with("specified more than once") {
        return Some(query("42712", text));
    }
    if let Some(name) =
        after(text, "The window ").and_then(|rest| rest.strip_suffix(" is not defined!"))
    {
        return Some(query("42704", &format!("window \"{name}\" does not exist")));
    }
    if let Some(rest) = after(text, "Cannot find column with position ") {
        let place = rest.split(' ').next()?;
        return Some(query("42P10", &format!("GROUP BY position {place} is not in select list")));
    }
    if let Some(rest) = after(text, "Source table contains ") {
        let (there, rest) = rest.split_once(" columns but only ")?;
        let (asked, _) = rest.split_once(' ')?;
        let message = format!("table has {there} columns available but {asked} columns specified");
        return Some(query("42P10", &message));
    }
    if let Some(name) = after(text, "Invalid placeholder, zero is not a valid index: ") {
        return Some(query("42P02", &format!("there is no parameter {name}")));
    }
    if lower.starts_with("table function '") && lower.ends_with("' not found") {
        return Some(no_function(between_quotes(text)?));
    }
    None
}

/// Types that do not fit.
fn types(text: &str, lower: &str) -> Option<SqlError> {
    if let Some(name) = after(text, "Unary operator 'NOT' requires a boolean expression, got ") {
        return Some(not_boolean("NOT", postgres_type(name)));
    }
    if let Some(rest) = after(text, "for logical boolean operation ") {
        let (left, operator, right) = operation(rest)?;
        let name = if left == "boolean" { right } else { left };
        return Some(not_boolean(operator, name));
    }
    if lower.starts_with("unary operator '") {
        return Some(no_operator(between_quotes(text)?));
    }
    if let Some(rest) = after(text, "string type for string concat operation ")
        .or_else(|| after(text, "for comparison operation "))
        .or_else(|| after(text, "Cannot coerce arithmetic expression "))
    {
        let (left, operator, right) = operation(rest.trim_end_matches(" to valid types"))?;
        let is_a_row = |name: &str| name.starts_with("Struct(");
        if is_a_row(left) && is_a_row(right) {
            return Some(query("42601", "unequal number of entries in row expressions"));
        }
        if operator == "IS DISTINCT FROM" && right == "boolean" {
            return Some(not_boolean("IS TRUE", left));
        }
        let left = if is_a_row(left) { "record" } else { left };
        let right = if is_a_row(right) { "record" } else { right };
        return Some(no_operator(&format!("{left} {operator} {right}")));
    }
    if let Some(rest) = after(text, "Cannot automatically convert ") {
        let (from, to) = rest.split_once(" to ")?;
        return Some(no_operator(&format!(
            "between {} and {}",
            postgres_type(to),
            postgres_type(from)
        )));
    }
    if let Some(rest) = after(text, "Unexpected argument type to 'json_") {
        let name = rest.rsplit("got ").next()?;
        return Some(no_operator(&format!("json -> {}", postgres_type(name))));
    }
    if let Some(rest) = after(text, "Failed to unify argument types of make_array: [") {
        let (types, _) = rest.split_once(']')?;
        let mut types = types.split(", ").map(postgres_type);
        let first = types.next()?;
        let other = types.find(|name| *name != first)?;
        return Some(query("42804", &format!("ARRAY types {first} and {other} cannot be matched")));
    }
    if let Some(rest) = after(text, "array_element does not support type ") {
        let name = postgres_type(rest.split('.').next()?);
        let message =
            format!("cannot subscript type {name} because it does not support subscripting");
        return Some(query("42804", &message));
    }
    if lower.contains("array_has does not support type ") {
        return Some(query("42809", "op ANY/ALL (array) requires array on right side"));
    }
    if let Some(rest) = after(text, "Cannot access field at argument 1: type ") {
        let name = postgres_type(rest.split(" is not Struct").next()?);
        let message =
            format!("column notation applied to type {name}, which is not a composite type");
        return Some(query("42809", &message));
    }
    if lower.starts_with("unnest() can only be applied to") {
        return Some(no_function("unnest"));
    }
    // … Function 'upper' … No function matches the given name and argument types 'upper(Int64, Int64)'. …
    if let Some(rest) = after(text, "No function matches the given name and argument types '") {
        let (call, _) = rest.split_once(")'")?;
        let (name, arguments) = call.split_once('(')?;
        let arguments = split_types(arguments).into_iter().map(postgres_type);
        let arguments = arguments.collect::<Vec<_>>().join(", ");
        return Some(no_function(&format!("{name}({arguments})")));
    }
    None
}

/// Values that do not fit their place.
fn values(text: &str, lower: &str) -> Option<SqlError> {
    if let Some(rest) = after(text, "Cannot cast value '") {
        let (value, rest) = rest.split_once("' to value of ")?;
        let name = postgres_type(rest.trim_end_matches(" type"));
        return Some(super::not_of_type(name, value));
    }
    if lower.contains("too large to store in a decimal")
        || lower.contains("too small to store in a decimal")
    {
        let mut error = query("22003", "numeric field overflow");
        if let SqlError::Query { detail, .. } = &mut error {
            *detail = Some(text.into());
        }
        return Some(error);
    }
    // Int32Array overflow on abs(-2147483648)
    if let Some((array, _)) = text.split_once("Array overflow on abs(") {
        let name = match array.rsplit(' ').next()? {
            "Int16" | "int16" => "smallint",
            "Int32" | "int32" => "integer",
            _ => "bigint",
        };
        return Some(query("22003", &format!("{name} out of range")));
    }
    if lower.starts_with("percentile value must be between") {
        let value = text.rsplit("inclusive, ").next()?.split(' ').next()?;
        return Some(query("22003", &format!("percentile value {value} is not between 0 and 1")));
    }
    if let Some(value) = after(text, "Invalid HexStringLiteral '") {
        let wrong = value.chars().find(|digit| !digit.is_ascii_hexdigit())?;
        return Some(query("22P02", &format!("\"{wrong}\" is not a valid hexadecimal digit")));
    }
    if lower.starts_with("date part '") || lower.starts_with("unsupported date_trunc granularity") {
        let unit = between_quotes(text)?;
        return Some(query("22023", &format!("unit \"{unit}\" not recognized")));
    }
    if lower.starts_with("there is no built-in encoding named '") {
        return Some(query(
            "22023",
            &format!("unrecognized encoding: \"{}\"", between_quotes(text)?),
        ));
    }
    if let Some(rest) = after(text, "Failed to decode value using ") {
        let message = match rest.split_once("Invalid character '") {
            Some((_, digit)) => format!("invalid hexadecimal digit: \"{}\"", digit.chars().next()?),
            None if rest.contains("Odd number") => {
                "invalid hexadecimal data: odd number of digits".into()
            }
            None => format!("invalid {rest}"),
        };
        return Some(query("22023", &message));
    }
    if lower.starts_with("month value '") || lower.starts_with("day value '") {
        return Some(query(
            "22008",
            &format!("date field value out of range: {}", between_quotes(text)?),
        ));
    }
    None
}

fn after<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    text.split_once(words).map(|(_, rest)| rest)
}

fn not_boolean(place: &str, name: &str) -> SqlError {
    query("42804", &format!("argument of {place} must be type boolean, not type {name}"))
}

/// What PostgreSQL says of a function that is not there, or not for these arguments.
pub(super) fn no_function(call: &str) -> SqlError {
    SqlError::Query {
        sqlstate: "42883",
        message: format!("function {call} does not exist"),
        detail: None,
        hint: Some(NO_FUNCTION.into()),
    }
}

/// PostgreSQL's hint.
pub(super) const NO_FUNCTION: &str = "No function matches the given name and argument types. \
                                      You might need to add explicit type casts.";

/// Types in a list, some of which have commas of their own within parentheses.
fn split_types(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut types) = (0_i32, 0, Vec::new());
    for (at, character) in list.char_indices() {
        match character {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                types.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = list[start..].trim();
    if !last.is_empty() {
        types.push(last);
    }
    types
}

/// The types around an operator, as in `Timestamp(ns, "UTC") + Int64`, by PostgreSQL's names.
pub(super) fn operation(text: &str) -> Option<(&str, &str, &str)> {
    let text = text.lines().next()?.trim_end_matches(['.', ',']);
    let mut depth = 0_i32;
    let (mut first, mut last) = (None, None);
    for (at, character) in text.char_indices() {
        match character {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ' ' if depth == 0 => {
                first = first.or(Some(at));
                last = Some(at);
            }
            _ => {}
        }
    }
    let (first, last) = (first?, last?);
    (first < last).then(|| {
        (postgres_type(&text[..first]), &text[first + 1..last], postgres_type(&text[last + 1..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_around_an_operator_may_have_spaces() {
        let seen = operation("Timestamp(ns, \"UTC\") + Int64");
        assert_eq!(seen, Some(("timestamp with time zone", "+", "bigint")));
        let seen = operation("Utf8 IS DISTINCT FROM Boolean");
        assert_eq!(seen, Some(("text", "IS DISTINCT FROM", "boolean")));
        assert_eq!(operation("Int64"), None);
    }

    #[test]
    fn types_in_a_list_may_have_commas() {
        assert_eq!(
            split_types("Int64, Decimal128(38, 10), Utf8"),
            ["Int64", "Decimal128(38, 10)", "Utf8"]
        );
        assert!(split_types("").is_empty());
    }
}
