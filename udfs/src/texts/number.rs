//! `to_number`: a number as a template says that it is written.

use datafusion::error::Result;

use crate::UdfError;

/// The number; `None` for a template of nothing.
pub(super) fn read(text: &str, template: &str) -> Result<Option<f64>> {
    if template.is_empty() {
        return Ok(None);
    }
    // Digits that the text leaves out before its point leave the point to the template's.
    let waits_for_point = template.contains(['.', 'D', 'd']);
    let mut input = text.chars().peekable();
    let mut template = template.chars().peekable();
    let mut number = Number { waits_for_point, ..Number::default() };
    let mut is_quoted = false;
    while let Some(letter) = template.next() {
        if is_quoted || letter == '"' {
            is_quoted = (letter == '"') != is_quoted;
            if letter != '"' {
                input.next();
            }
            continue;
        }
        let second = template.peek().map(char::to_ascii_uppercase);
        match (letter.to_ascii_uppercase(), second) {
            ('9' | '0', _) => number.digit(&mut input),
            ('.' | 'D', _) => {
                input.next_if_eq(&' ');
                if input.next_if_eq(&'.').is_some() {
                    number.point();
                }
            }
            ('V', _) => number.is_shifted = true,
            ('F', Some('M')) => {
                template.next();
            }
            ('S', Some('G')) | ('M', Some('I')) | ('P', Some('L')) => {
                template.next();
                number.sign(&mut input);
            }
            ('P', Some('R')) => {
                template.next();
                input.next_if_eq(&'>');
            }
            ('S', _) => number.sign(&mut input),
            ('T', Some('H')) => {
                template.next();
                input.next();
                input.next();
            }
            (',' | 'G', _) => {
                input.next_if(|next| !next.is_ascii_digit() && !matches!(next, '.' | '+' | '-'));
            }
            ('L', _) => {
                input.next_if(|next| !next.is_ascii_digit() && !matches!(next, '.' | '+' | '-'));
            }
            _ => {
                input.next();
            }
        }
    }
    // A sign that stands behind the digits belongs to them.
    number.sign(&mut input);
    number.finish().map(Some)
}

#[derive(Default)]
struct Number {
    digits: String,
    /// Whether the template has a point.
    waits_for_point: bool,
    has_point: bool,
    is_negative: bool,
    has_sign: bool,
    is_shifted: bool,
    /// Digits behind a `V`.
    shift: i32,
}

impl Number {
    fn sign(&mut self, input: &mut std::iter::Peekable<std::str::Chars>) {
        if self.has_sign {
            return;
        }
        if let Some(sign) = input.next_if(|next| matches!(next, '+' | '-' | '<')) {
            self.has_sign = true;
            self.is_negative = sign != '+';
        }
    }

    /// One place of a digit: what stands there and is none is passed over.
    fn digit(&mut self, input: &mut std::iter::Peekable<std::str::Chars>) {
        input.next_if_eq(&' ');
        if self.digits.is_empty() {
            self.sign(input);
        }
        if self.waits_for_point && !self.has_point && input.peek() == Some(&'.') {
            return;
        }
        if let Some(next) = input.next()
            && next.is_ascii_digit()
        {
            self.digits.push(next);
            self.shift += i32::from(self.is_shifted);
        }
    }

    fn point(&mut self) {
        if !self.has_point {
            self.has_point = true;
            self.digits.push('.');
        }
    }

    fn finish(self) -> Result<f64> {
        let refused = || UdfError::NumberSyntax { text: " ".into() };
        let number: f64 = self.digits.parse().map_err(|_| refused())?;
        let number = number / 10_f64.powi(self.shift);
        Ok(if self.is_negative { -number } else { number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As PostgreSQL 15 answers.
    #[test]
    fn numbers_are_those_of_postgresql() {
        for (text, template, number) in [
            ("1.5", "9999", 15.0),
            ("1,234", "9999", 123.0),
            ("1,234", "9,999", 1234.0),
            ("12 34", "9999", 1234.0),
            ("  12", "99", 1.0),
            ("-12", "99", -12.0),
            ("12-", "99MI", -12.0),
            ("<12>", "99PR", -12.0),
            ("$12.5", "L99D9", 12.5),
            ("123456", "999", 123.0),
            ("+5", "S9", 5.0),
            ("1e3", "9999", 13.0),
            (".5", "9.9", 0.5),
            ("12.345", "99.9", 12.3),
            ("1-", "9S", -1.0),
            ("1 234.5", "9G999D9", 1234.5),
            ("12th", "99th", 12.0),
            ("x12", "\"x\"99", 12.0),
            ("-1,234.56", "S9,999.99", -1234.56),
            ("1234", "9V9", 1.2),
            ("12", "FM99", 12.0),
            ("-0012.50", "0000.00", -12.5),
            ("1x2", "9x9", 12.0),
            ("12,454.8-", "99G999D9S", -12454.8),
            ("-34,338,492.654,878", "99G999G999D999G999", -34_338_492.654_878),
        ] {
            assert_eq!(read(text, template).expect(text), Some(number), "{text} by {template}");
        }
        assert_eq!(read("12", "").expect("is nothing"), None);
        read("abc", "999").expect_err("has no digits");
    }
}
