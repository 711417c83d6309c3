//! PostgreSQL's template patterns for dates and times (its manual's table 9.27), as `to_char` writes
//! them. Names are English, as with `lc_time = 'C'`.

use std::fmt::Write;

use chrono::{Datelike, NaiveDate};

use crate::UdfError;

/// What is written: a point in time in its zone, or a length of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Years, negative before our era (0 is 1 BC, as astronomers count).
    pub year: i64,
    /// Month: 1..=12 of a point in time, -11..=11 of a length.
    pub month: i64,
    /// Day of the month, or days.
    pub day: i64,
    /// Hours; those of a length may be more than 23.
    pub hour: i64,
    /// Minutes.
    pub minute: i64,
    /// Seconds.
    pub second: i64,
    /// Microseconds of the second.
    pub micros: i64,
    /// What only a point in time has.
    pub calendar: Option<Calendar>,
}

/// Where in the calendar, and in which zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Calendar {
    pub date: NaiveDate,
    /// Seconds east of Greenwich.
    pub offset: i32,
    /// The zone's name; empty for a timestamp without one.
    pub zone: String,
}

/// How letters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Upper,
    Capital,
    Lower,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Hour12,
    Hour24,
    Minute,
    Second,
    /// So many digits of the second's fraction, cut off.
    Fraction(u32),
    SecondOfDay,
    HalfOfDay {
        dots: bool,
    },
    Era {
        dots: bool,
    },
    MonthName {
        short: bool,
    },
    DayName {
        short: bool,
    },
    Month,
    RomanMonth,
    DayOfMonth,
    DayOfYear,
    IsoDayOfYear,
    DayOfWeek,
    IsoDayOfWeek,
    WeekOfYear,
    IsoWeek,
    WeekOfMonth,
    Quarter,
    Century,
    /// The last so many digits.
    Year(u32),
    IsoYear(u32),
    YearWithComma,
    JulianDay,
    Zone,
    ZoneHours,
    ZoneMinutes,
    Offset,
    /// `FX`, which only means something when texts are read.
    Nothing,
}

use Field::*;

/// What patterns are called in capitals; of those that begin alike the longest is first.
const FIELDS: &[(&str, Field)] = &[
    ("A.D.", Era { dots: true }),
    ("A.M.", HalfOfDay { dots: true }),
    ("AD", Era { dots: false }),
    ("AM", HalfOfDay { dots: false }),
    ("B.C.", Era { dots: true }),
    ("BC", Era { dots: false }),
    ("CC", Century),
    ("DAY", DayName { short: false }),
    ("DDD", DayOfYear),
    ("DD", DayOfMonth),
    ("DY", DayName { short: true }),
    ("D", DayOfWeek),
    ("FF1", Fraction(1)),
    ("FF2", Fraction(2)),
    ("FF3", Fraction(3)),
    ("FF4", Fraction(4)),
    ("FF5", Fraction(5)),
    ("FF6", Fraction(6)),
    ("FX", Nothing),
    ("HH24", Hour24),
    ("HH12", Hour12),
    ("HH", Hour12),
    ("IDDD", IsoDayOfYear),
    ("ID", IsoDayOfWeek),
    ("IW", IsoWeek),
    ("IYYY", IsoYear(4)),
    ("IYY", IsoYear(3)),
    ("IY", IsoYear(2)),
    ("I", IsoYear(1)),
    ("J", JulianDay),
    ("MI", Minute),
    ("MM", Month),
    ("MONTH", MonthName { short: false }),
    ("MON", MonthName { short: true }),
    ("MS", Fraction(3)),
    ("OF", Offset),
    ("P.M.", HalfOfDay { dots: true }),
    ("PM", HalfOfDay { dots: false }),
    ("Q", Quarter),
    ("RM", RomanMonth),
    ("SSSSS", SecondOfDay),
    ("SSSS", SecondOfDay),
    ("SS", Second),
    ("TZH", ZoneHours),
    ("TZM", ZoneMinutes),
    ("TZ", Zone),
    ("US", Fraction(6)),
    ("WW", WeekOfYear),
    ("W", WeekOfMonth),
    ("Y,YYY", YearWithComma),
    ("YYYY", Year(4)),
    ("YYY", Year(3)),
    ("YY", Year(2)),
    ("Y", Year(1)),
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] =
    ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(char),
    Field {
        field: Field,
        case: Case,
        /// `FM` before it: no leading zeros and no padding.
        fill: bool,
        /// `TH` or `th` after it.
        ordinal: Option<Case>,
    },
}

/// A template that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

impl Template {
    /// Reads a template. Any text is one, as what is no pattern stands for itself; but of an empty
    /// one PostgreSQL makes NULL.
    pub(super) fn new(text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let prefix = rest.get(..2).filter(|two| matches!(*two, "FM" | "fm" | "TM" | "tm"));
            rest = &rest[prefix.map_or(0, str::len)..];
            if let Some((name, field, case)) = field_at(rest) {
                rest = &rest[name.len()..];
                let ordinal = match rest.get(..2) {
                    Some("TH") => Some(Case::Upper),
                    Some("th") => Some(Case::Lower),
                    _ => None,
                };
                // `SP`, the number in words, is read and means nothing, as in PostgreSQL.
                if ordinal.is_some() || matches!(rest.get(..2), Some("SP")) {
                    rest = &rest[2..];
                }
                // `TM`, names in the locale's language, of which there is one, leaves out padding too.
                let is_name = matches!(field, MonthName { .. } | DayName { .. });
                let fill = match prefix {
                    Some("FM" | "fm") => true,
                    prefix => is_name && prefix.is_some(),
                };
                pieces.push(Piece::Field { field, case, fill, ordinal });
            } else if let Some(quoted) = rest.strip_prefix('"') {
                rest = read_quoted(quoted, &mut pieces);
            } else {
                let unescaped = rest.strip_prefix('\\').filter(|next| next.starts_with('"'));
                let mut letters = unescaped.unwrap_or(rest).chars();
                pieces.extend(letters.next().map(Piece::Literal));
                rest = letters.as_str();
            }
        }
        (!text.is_empty()).then_some(Self(pieces))
    }

    /// Writes a moment.
    ///
    /// # Errors
    /// [`UdfError::NoCalendar`] when the template asks of a length of time what only a point in time
    /// has.
    pub(super) fn write(&self, moment: &Moment, out: &mut String) -> Result<(), UdfError> {
        for piece in &self.0 {
            match piece {
                Piece::Literal(letter) => out.push(*letter),
                Piece::Field { field, case, fill, ordinal } => {
                    let written = moment.field(*field, *case, *fill)?;
                    out.push_str(&written);
                    if let Some(case) = ordinal
                        && written.ends_with(|last: char| last.is_ascii_digit())
                    {
                        out.push_str(&cased(ordinal_suffix(&written), *case));
                    }
                }
            }
        }
        Ok(())
    }
}

/// The pattern that `text` begins with. Patterns are in capitals or in small letters throughout;
/// names of months and days may be capitalised.
fn field_at(text: &str) -> Option<(&'static str, Field, Case)> {
    FIELDS.iter().find_map(|(name, field)| {
        let found = text.get(..name.len())?;
        let case = if found == *name {
            Case::Upper
        } else if found == name.to_ascii_lowercase() {
            Case::Lower
        } else if matches!(field, MonthName { .. } | DayName { .. })
            && found == cased(name, Case::Capital)
        {
            Case::Capital
        } else {
            return None;
        };
        Some((*name, *field, case))
    })
}

/// Reads up to the closing quote; a backslash quotes what follows it. What comes after is returned.
fn read_quoted<'a>(text: &'a str, pieces: &mut Vec<Piece>) -> &'a str {
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => pieces.push(Piece::Literal(letters.next().unwrap_or(letter))),
            _ => pieces.push(Piece::Literal(letter)),
        }
    }
    letters.as_str()
}

fn cased(name: &str, case: Case) -> String {
    match case {
        Case::Upper => name.to_ascii_uppercase(),
        Case::Lower => name.to_ascii_lowercase(),
        Case::Capital => {
            let (first, rest) = name.split_at(name.len().min(1));
            first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
        }
    }
}

fn ordinal_suffix(number: &str) -> &'static str {
    let mut digits = number.bytes().rev();
    match (digits.next(), digits.next()) {
        (_, Some(b'1')) => "th",
        (Some(b'1'), _) => "st",
        (Some(b'2'), _) => "nd",
        (Some(b'3'), _) => "rd",
        _ => "th",
    }
}

/// A number of at least `width` characters; as short as can be with `fill`.
fn number(value: i64, width: usize, fill: bool) -> String {
    let width = if fill { 0 } else { width };
    format!("{value:0width$}")
}

/// The same with the sign not counted, as PostgreSQL does with some of its patterns.
fn signed(value: i64, width: usize, fill: bool) -> String {
    number(value, width + usize::from(value < 0), fill)
}

fn padded(name: &str, width: usize, fill: bool) -> String {
    let width = if fill { 0 } else { width };
    format!("{name:width$}")
}

impl Moment {
    fn calendar(&self) -> Result<&Calendar, UdfError> {
        self.calendar.as_ref().ok_or(UdfError::NoCalendar)
    }

    /// The year as it is spoken of: 1 for 1 AD and for 1 BC.
    fn spoken_year(&self, year: i64) -> i64 {
        if self.calendar.is_some() && year <= 0 { 1 - year } else { year }
    }

    fn field(&self, field: Field, case: Case, fill: bool) -> Result<String, UdfError> {
        Ok(match field {
            Hour24 => signed(self.hour, 2, fill),
            Hour12 if self.hour % 12 == 0 => "12".into(),
            Hour12 => signed(self.hour % 12, 2, fill),
            Minute => signed(self.minute, 2, fill),
            Second => signed(self.second, 2, fill),
            Fraction(digits) => {
                number(self.micros / 10_i64.pow(6 - digits), digits as usize, false)
            }
            SecondOfDay => (self.hour * 3600 + self.minute * 60 + self.second).to_string(),
            HalfOfDay { dots } => {
                let is_afternoon = self.hour % 24 >= 12;
                cased(
                    match (is_afternoon, dots) {
                        (false, false) => "am",
                        (false, true) => "a.m.",
                        (true, false) => "pm",
                        (true, true) => "p.m.",
                    },
                    case,
                )
            }
            Era { dots } => {
                self.calendar()?;
                cased(
                    match (self.year > 0, dots) {
                        (true, false) => "ad",
                        (true, true) => "a.d.",
                        (false, false) => "bc",
                        (false, true) => "b.c.",
                    },
                    case,
                )
            }
            MonthName { short } => {
                let name = MONTHS[self.calendar()?.date.month0() as usize];
                let name = cased(if short { &name[..3] } else { name }, case);
                padded(&name, if short { 0 } else { 9 }, fill)
            }
            DayName { short } => {
                let weekday = self.calendar()?.date.weekday();
                let name = DAYS[weekday.num_days_from_sunday() as usize];
                let name = cased(if short { &name[..3] } else { name }, case);
                padded(&name, if short { 0 } else { 9 }, fill)
            }
            Month => signed(self.month, 2, fill),
            RomanMonth => self.roman_month(case, fill),
            DayOfMonth => number(self.day, 2, fill),
            DayOfYear => number(self.day_of_year(), 3, fill),
            IsoDayOfYear => {
                let date = self.calendar()?.date;
                let week = i64::from(date.iso_week().week());
                let day = (week - 1) * 7 + i64::from(date.weekday().number_from_monday());
                number(day, 3, fill)
            }
            DayOfWeek => self.calendar()?.date.weekday().number_from_sunday().to_string(),
            IsoDayOfWeek => self.calendar()?.date.weekday().number_from_monday().to_string(),
            WeekOfYear => number((self.day_of_year() - 1) / 7 + 1, 2, fill),
            IsoWeek => number(self.calendar()?.date.iso_week().week().into(), 2, fill),
            WeekOfMonth => ((self.day - 1) / 7 + 1).to_string(),
            Quarter if self.month == 0 => String::new(),
            Quarter => ((self.month - 1) / 3 + 1).to_string(),
            Century => signed(self.century(), 2, fill),
            Year(digits) => last_digits(self.spoken_year(self.year), digits, fill),
            IsoYear(digits) => {
                let year = self.calendar()?.date.iso_week().year();
                last_digits(self.spoken_year(year.into()), digits, fill)
            }
            YearWithComma => {
                let year = self.spoken_year(self.year);
                format!("{},{:03}", year / 1000, year % 1000)
            }
            JulianDay => {
                // 1 January of the year 1, which chrono counts from, is the Julian day 1721426.
                (i64::from(self.calendar()?.date.num_days_from_ce()) + 1_721_425).to_string()
            }
            Zone => cased(&self.calendar()?.zone, case),
            ZoneHours => self.calendar()?.hours(2),
            ZoneMinutes => format!("{:02}", self.calendar()?.offset.abs() % 3600 / 60),
            Offset => {
                let calendar = self.calendar()?;
                let mut text = calendar.hours(if fill { 1 } else { 2 });
                let minutes = calendar.offset.abs() % 3600 / 60;
                if minutes != 0 {
                    // Writing to a String cannot fail.
                    let _ = write!(text, ":{minutes:02}");
                }
                text
            }
            Nothing => String::new(),
        })
    }

    /// Of a length of time, PostgreSQL counts months of thirty days.
    fn day_of_year(&self) -> i64 {
        match &self.calendar {
            Some(calendar) => calendar.date.ordinal().into(),
            None => (self.year * 12 + self.month) * 30 + self.day,
        }
    }

    fn century(&self) -> i64 {
        match (&self.calendar, self.year) {
            (None, year) => year / 100,
            (Some(_), year) if year > 0 => (year - 1) / 100 + 1,
            (Some(_), year) => year / 100 - 1,
        }
    }

    /// Months of a negative length are counted from December back.
    fn roman_month(&self, case: Case, fill: bool) -> String {
        if self.month == 0 && self.year == 0 {
            return String::new();
        }
        let place = match self.month {
            0 if self.year >= 0 => 12,
            0 => 1,
            month if month < 0 => 13 + month,
            month => month,
        };
        let name = usize::try_from(place - 1).ok().and_then(|place| ROMAN.get(place));
        padded(&cased(name.unwrap_or(&""), case), 4, fill)
    }
}

impl Calendar {
    fn hours(&self, width: usize) -> String {
        let sign = if self.offset < 0 { '-' } else { '+' };
        format!("{sign}{:0width$}", self.offset.abs() / 3600)
    }
}

fn last_digits(year: i64, digits: u32, fill: bool) -> String {
    match digits {
        4 => signed(year, 4, fill),
        fewer => signed(year % 10_i64.pow(fewer), fewer as usize, fill),
    }
}
