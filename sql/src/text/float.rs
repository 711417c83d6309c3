//! `real` and `double precision` in text: the fewest digits, an exponent where PostgreSQL has one.

/// A `real`, such as `0.1`, `1e+06` or `NaN`: the fewest digits that give the same value again.
pub fn float4(value: f32) -> String {
    // From FLT_DIG digits on, PostgreSQL writes an exponent (`float_to_shortest_decimal`).
    shortest(f64::from(value), &value.to_string(), &format!("{value:e}"), 6)
}

/// A `double precision`, such as `5`, `1.5e-07` or `Infinity`: the fewest digits that give the
/// same value again.
pub fn float8(value: f64) -> String {
    shortest(value, &value.to_string(), &format!("{value:e}"), 15)
}

/// `plain` for exponents in -4..`most`, else `scientific` with a sign and two digits at least.
fn shortest(value: f64, plain: &str, scientific: &str, most: i32) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return plain.to_owned() };
    let Ok(exponent) = exponent.parse::<i32>() else { return plain.to_owned() };
    if (-4..most).contains(&exponent) {
        return plain.to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PostgreSQL 15 answers.
    #[test]
    fn floats_are_postgresqls() {
        let doubles = [
            (5.0, "5"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e15, "1e+15"),
            (1e300, "1e+300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in doubles {
            assert_eq!(float8(value), text);
        }
        let reals = [
            (0.1, "0.1"),
            (100_000.0, "100000"),
            (1_000_000.0, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (f32::NAN, "NaN"),
        ];
        for (value, text) in reals {
            assert_eq!(float4(value), text);
        }
    }
}
