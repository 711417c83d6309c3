//! Templates of numbers, after PostgreSQL's `formatting.c`: digits are laid into the template's places, and
//! the places tell where blanks, signs and separators stand.

/// A number as a template takes it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    /// Its digits as a whole number, and how many of them are the fraction.
    Exact(i128, u8),
    Float(f64),
}

/// Why a template is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It says what cannot be.
    Invalid(&'static str),
    /// It says what is not done.
    Unsupported(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Nine,
    Zero,
    Point,
    Group,
    Sign,
    Minus,
    Plus,
    PlusOrMinus,
    Brackets,
    Currency,
    Shift,
    Roman { is_upper: bool },
    Ordinal { is_upper: bool },
    Text(char),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SignPlace {
    Before,
    Behind,
}

/// A template that was read.
#[derive(Clone, Debug, Default)]
pub(super) struct NumberTemplate {
    places: Vec<Place>,
    /// Places of digits before the point and behind it, and those by which `V` shifts.
    pre: usize,
    post: usize,
    shift: usize,
    /// Where zeros begin, counted from 1, and where they end.
    zero_start: usize,
    zero_end: usize,
    has_zero: bool,
    has_point: bool,
    has_shift: bool,
    is_filled: bool,
    has_brackets: bool,
    has_minus: bool,
    has_plus: bool,
    is_roman: bool,
    sign: Option<SignPlace>,
    /// Digits before the `S`.
    before_sign: usize,
}

/// The patterns, none before one that begins with it.
const PATTERNS: [(&str, Place); 15] = [
    ("PL", Place::Plus),
    ("PR", Place::Brackets),
    ("MI", Place::Minus),
    ("SG", Place::PlusOrMinus),
    ("S", Place::Sign),
    ("9", Place::Nine),
    ("0", Place::Zero),
    (".", Place::Point),
    ("D", Place::Point),
    (",", Place::Group),
    ("G", Place::Group),
    ("L", Place::Currency),
    ("V", Place::Shift),
    ("RN", Place::Roman { is_upper: true }),
    ("TH", Place::Ordinal { is_upper: true }),
];

impl NumberTemplate {
    pub(super) fn new(template: &str) -> Result<Self, Refusal> {
        let mut read = Self::default();
        let mut rest = template;
        while let Some(first) = rest.chars().next() {
            let begins = |pattern: &str| {
                rest.get(..pattern.len()).is_some_and(|part| part.eq_ignore_ascii_case(pattern))
            };
            if begins("EEEE") {
                return Err(Refusal::Unsupported("the template pattern EEEE"));
            }
            if begins("FM") {
                read.is_filled = true;
                rest = &rest[2..];
                continue;
            }
            if first == '"' {
                rest = read.quoted(&rest[1..]);
                continue;
            }
            let known = PATTERNS.iter().find(|(pattern, _)| begins(pattern));
            let Some((pattern, place)) = known else {
                read.places.push(Place::Text(first));
                rest = &rest[first.len_utf8()..];
                continue;
            };
            let is_upper = first.is_ascii_uppercase();
            let place = match place {
                Place::Roman { .. } => Place::Roman { is_upper },
                Place::Ordinal { .. } => Place::Ordinal { is_upper },
                other => *other,
            };
            read.take(place)?;
            rest = &rest[pattern.len()..];
        }
        Ok(read)
    }

    /// Takes a text in double quotes, and gives what comes after it.
    fn quoted<'a>(&mut self, text: &'a str) -> &'a str {
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '"' => break,
                '\\' => self.places.extend(characters.next().map(Place::Text)),
                other => self.places.push(Place::Text(other)),
            }
        }
        characters.as_str()
    }

    fn take(&mut self, place: Place) -> Result<(), Refusal> {
        match place {
            Place::Nine | Place::Zero if self.has_brackets => {
                return Err(Refusal::Invalid("\"9\" must be ahead of \"PR\""));
            }
            Place::Nine if self.has_shift => self.shift += 1,
            Place::Nine if self.has_point => self.post += 1,
            Place::Nine => self.pre += 1,
            Place::Zero => {
                if !self.has_zero && !self.has_point {
                    self.has_zero = true;
                    self.zero_start = self.pre + 1;
                }
                if self.has_point {
                    self.post += 1;
                } else {
                    self.pre += 1;
                }
                self.zero_end = self.pre + self.post;
            }
            Place::Point if self.has_point => {
                return Err(Refusal::Invalid("multiple decimal points"));
            }
            Place::Point if self.has_shift => {
                return Err(Refusal::Invalid("cannot use \"V\" and decimal point together"));
            }
            Place::Point => self.has_point = true,
            Place::Shift if self.has_point => {
                return Err(Refusal::Invalid("cannot use \"V\" and decimal point together"));
            }
            Place::Shift => self.has_shift = true,
            Place::Sign if self.sign.is_some() => {
                return Err(Refusal::Invalid("cannot use \"S\" twice"));
            }
            Place::Sign if self.has_plus || self.has_minus || self.has_brackets => {
                return Err(Refusal::Invalid(
                    "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together",
                ));
            }
            Place::Sign if self.has_point => self.sign = Some(SignPlace::Behind),
            Place::Sign => {
                self.sign = Some(SignPlace::Before);
                self.before_sign = self.pre;
            }
            Place::Minus | Place::Plus | Place::PlusOrMinus | Place::Brackets
                if self.sign.is_some() =>
            {
                return Err(Refusal::Invalid(
                    "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together",
                ));
            }
            Place::Minus => self.has_minus = true,
            Place::Plus => self.has_plus = true,
            Place::PlusOrMinus => (self.has_minus, self.has_plus) = (true, true),
            Place::Brackets => self.has_brackets = true,
            Place::Roman { .. } => self.is_roman = true,
            Place::Group | Place::Currency | Place::Ordinal { .. } | Place::Text(_) => {}
        }
        self.places.push(place);
        Ok(())
    }

    /// Writes `number`.
    pub(super) fn write(&self, number: Number, out: &mut String) {
        if self.is_roman {
            return self.write_roman(number, out);
        }
        let (is_negative, mut digits) = digits(number, self.post, self.shift);
        let pre = self.pre + self.shift;
        let whole = digits.iter().position(|&digit| digit == '.').unwrap_or(digits.len());
        let blanks = pre.saturating_sub(whole);
        if whole > pre {
            digits = vec!['#'; pre + self.post + 1];
            digits[pre] = '.';
        }
        Writer::new(self, is_negative, digits, blanks, pre).run(out);
    }

    fn write_roman(&self, number: Number, out: &mut String) {
        let whole = match number {
            Number::Exact(number, scale) => rounded(number, scale, 0).to_string().parse().ok(),
            Number::Float(number) => Some(number.round_ties_even() as i64),
        };
        let text = match whole {
            Some(number @ 1..=3999) => roman(number),
            _ => "#".repeat(15),
        };
        for place in &self.places {
            match place {
                Place::Roman { is_upper } => {
                    let text = if *is_upper { text.clone() } else { text.to_lowercase() };
                    let blanks =
                        if self.is_filled { 0 } else { 15_usize.saturating_sub(text.len()) };
                    out.extend(std::iter::repeat_n(' ', blanks));
                    out.push_str(&text);
                }
                Place::Text(character) => out.push(*character),
                _ => {}
            }
        }
    }
}

fn roman(mut number: i64) -> String {
    const SIGNS: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut text = String::new();
    for (value, sign) in SIGNS {
        while number >= value {
            text.push_str(sign);
            number -= value;
        }
    }
    text
}

/// `number / 10^scale` times `10^places`, rounded away from zero from the middle on.
fn rounded(number: i128, scale: u8, places: usize) -> i128 {
    let power = |exponent: usize| {
        u32::try_from(exponent).ok().and_then(|exponent| 10_i128.checked_pow(exponent))
    };
    let scale = usize::from(scale);
    if places >= scale {
        return power(places - scale)
            .and_then(|factor| number.checked_mul(factor))
            .unwrap_or(i128::MAX);
    }
    let Some(divisor) = power(scale - places) else { return 0 };
    let (quotient, rest) = (number / divisor, number % divisor);
    match rest.unsigned_abs() >= divisor.unsigned_abs().div_ceil(2) {
        true => quotient + number.signum(),
        false => quotient,
    }
}

/// Whether the number is negative, and its digits with `post` of them behind a point.
fn digits(number: Number, post: usize, shift: usize) -> (bool, Vec<char>) {
    let (is_negative, text) = match number {
        Number::Exact(number, scale) => {
            let number = rounded(number, scale, post + shift);
            let digits = format!("{:0>width$}", number.unsigned_abs(), width = post + 1);
            let (whole, fraction) = digits.split_at(digits.len() - post);
            let point = if post > 0 { "." } else { "" };
            (number < 0, format!("{whole}{point}{fraction}"))
        }
        Number::Float(number) if number.is_nan() => (false, "NaN".into()),
        Number::Float(number) if number.is_infinite() => (number < 0.0, "Infinity".into()),
        Number::Float(number) => {
            let shifted = number.abs() * 10_f64.powi(i32::try_from(shift).unwrap_or(0));
            // A float has 15 digits that mean something.
            let whole = format!("{shifted:.0}").len();
            let post = post.min(15_usize.saturating_sub(whole));
            (number.is_sign_negative() && number != 0.0, format!("{shifted:.post$}"))
        }
    };
    (is_negative, text.chars().collect())
}

/// What `NUM_processor` keeps of a number that it writes.
struct Writer<'a> {
    template: &'a NumberTemplate,
    is_negative: bool,
    digits: Vec<char>,
    /// The next digit.
    at: usize,
    /// Places of digits that are blank.
    blanks: usize,
    /// Places of digits that were passed, and all of them.
    place: usize,
    count: usize,
    pre: usize,
    is_sign_written: bool,
    sign: Option<SignPlace>,
    has_brackets: bool,
    /// The last digit that is written, where zeros at the end are left out.
    last: Option<usize>,
    has_begun: bool,
}

impl<'a> Writer<'a> {
    fn new(
        template: &'a NumberTemplate,
        is_negative: bool,
        digits: Vec<char>,
        blanks: usize,
        pre: usize,
    ) -> Self {
        let mut writer = Self {
            template,
            is_negative,
            digits,
            at: 0,
            blanks,
            place: 0,
            count: (template.post + pre).saturating_sub(1),
            pre,
            is_sign_written: false,
            sign: template.sign,
            has_brackets: template.has_brackets,
            last: None,
            has_begun: false,
        };
        if template.has_plus || template.has_minus {
            writer.is_sign_written = template.has_minus;
        } else {
            if !is_negative && template.is_filled {
                writer.has_brackets = false;
            }
            writer.is_sign_written = !is_negative && template.is_filled && writer.sign.is_none();
            if writer.sign == Some(SignPlace::Before) && writer.pre == template.before_sign {
                writer.sign = Some(SignPlace::Behind);
            }
        }
        if template.is_filled && template.has_point {
            writer.last = writer.last_that_counts();
        }
        if !writer.is_sign_written && blanks == 0 {
            writer.count += 1;
        }
        writer
    }

    fn last_that_counts(&self) -> Option<usize> {
        let point = self.digits.iter().position(|&digit| digit == '.')?;
        let mut last =
            self.digits.iter().rposition(|&digit| digit != '0').map_or(point, |at| at.max(point));
        if self.template.zero_end > self.blanks {
            last = last.max((self.digits.len() - 1).min(self.template.zero_end - self.blanks));
        }
        Some(last)
    }

    fn run(mut self, out: &mut String) {
        for place in &self.template.places {
            match *place {
                Place::Nine | Place::Zero | Place::Point => self.digit(*place, out),
                Place::Group if self.has_begun => out.push(','),
                Place::Group | Place::Minus | Place::Plus
                    if self.template.is_filled && !self.is_shown(*place) => {}
                Place::Group => out.push(' '),
                Place::Minus => out.push(if self.is_negative { '-' } else { ' ' }),
                Place::Plus => out.push(if self.is_negative { ' ' } else { '+' }),
                Place::PlusOrMinus => out.push(if self.is_negative { '-' } else { '+' }),
                Place::Currency => out.push(' '),
                Place::Ordinal { is_upper } => self.ordinal(is_upper, out),
                Place::Text(character) => out.push(character),
                Place::Sign | Place::Brackets | Place::Shift | Place::Roman { .. } => {}
            }
        }
    }

    /// Whether a sign of its own has something to say.
    fn is_shown(&self, place: Place) -> bool {
        match place {
            Place::Minus => self.is_negative,
            Place::Plus => !self.is_negative,
            _ => false,
        }
    }

    fn ordinal(&self, is_upper: bool, out: &mut String) {
        if self.digits.first() == Some(&'#') || self.is_negative || self.template.has_point {
            return;
        }
        let digits: Vec<char> = self.digits.iter().copied().filter(char::is_ascii_digit).collect();
        let teens = digits.len() >= 2 && digits[digits.len() - 2] == '1';
        let ending = match digits.last() {
            Some('1') if !teens => "st",
            Some('2') if !teens => "nd",
            Some('3') if !teens => "rd",
            _ => "th",
        };
        out.push_str(&if is_upper { ending.to_uppercase() } else { ending.to_owned() });
    }

    /// A 0 before the point, where the template has no 0.
    fn is_blank_zero(&self) -> bool {
        !self.template.has_zero
            && self.at == 0
            && self.digits.first() == Some(&'0')
            && self.template.post != 0
    }

    fn ends_at_point(&self) -> bool {
        self.last.is_some_and(|last| self.digits.get(last) == Some(&'.'))
    }

    fn digit(&mut self, place: Place, out: &mut String) {
        let template = self.template;
        let zero_start = template.zero_start.saturating_sub(1);
        self.has_begun = false;
        if !self.is_sign_written
            && (self.place >= self.blanks || (template.has_zero && zero_start == self.place))
            && (!self.is_blank_zero() || self.ends_at_point())
        {
            self.write_sign(out);
        }
        let is_blank = self.place < self.blanks;
        if is_blank && (zero_start > self.place || !template.has_zero) {
            if !template.is_filled {
                out.push(' ');
            }
        } else if is_blank {
            out.push('0');
            self.has_begun = true;
        } else {
            self.write_digit(place, out);
        }
        let mut end = self.count + usize::from(self.blanks > 0) + usize::from(template.has_point);
        if self.last == Some(self.at) {
            end = self.place;
        }
        if self.place + 1 == end {
            if self.is_sign_written && self.has_brackets {
                out.push(if self.is_negative { '>' } else { ' ' });
            } else if self.sign == Some(SignPlace::Behind) {
                out.push(if self.is_negative { '-' } else { '+' });
            }
        }
        self.place += 1;
    }

    fn write_sign(&mut self, out: &mut String) {
        match self.sign {
            Some(SignPlace::Behind) => return,
            Some(SignPlace::Before) => out.push(if self.is_negative { '-' } else { '+' }),
            None if self.has_brackets => out.push(if self.is_negative { '<' } else { ' ' }),
            None if self.is_negative => out.push('-'),
            None if !self.template.is_filled => out.push(' '),
            None => {}
        }
        self.is_sign_written = true;
    }

    fn write_digit(&mut self, place: Place, out: &mut String) {
        match self.digits.get(self.at) {
            Some('.') if self.ends_at_point() && !self.template.is_filled => {}
            Some('.') => out.push('.'),
            _ if self.last.is_some_and(|last| self.at > last) && place != Place::Zero => {}
            _ if self.is_blank_zero() => {
                if !self.template.is_filled {
                    out.push(' ');
                } else if self.ends_at_point() {
                    out.push('0');
                }
            }
            Some(digit) => {
                out.push(*digit);
                self.has_begun = true;
            }
            None => {}
        }
        if self.at < self.digits.len() {
            self.at += 1;
        }
    }
}
