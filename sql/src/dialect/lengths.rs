//! `varchar(n)` and `char(n)`: a cast cuts the text off, and one to `char` fills it up with spaces. Those
//! spaces are shown and count for nothing else, so a column of a select list alone has them.

use datafusion::sql::sqlparser::ast::{CharacterLength, DataType, Expr, Value};

use super::calls::call;
use crate::SqlError;

/// PostgreSQL's longest.
const MOST: u64 = 10_485_760;

/// The length of a type of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Length {
    characters: u64,
    is_filled: bool,
}

/// The length that a type gives its texts; `None` where it gives none.
///
/// # Errors
/// SQLSTATE 22023 for what is no length.
pub(super) fn of(data_type: &DataType) -> Result<Option<Length>, SqlError> {
    let (length, is_filled) = match data_type {
        DataType::Varchar(length)
        | DataType::CharacterVarying(length)
        | DataType::CharVarying(length) => (*length, false),
        // Without a length it is one character.
        DataType::Char(length) | DataType::Character(length) => {
            (length.or(Some(CharacterLength::IntegerLength { length: 1, unit: None })), true)
        }
        _ => return Ok(None),
    };
    let Some(CharacterLength::IntegerLength { length: characters, .. }) = length else {
        return Ok(None);
    };
    let name = if is_filled { "char" } else { "varchar" };
    let message = match characters {
        1..=MOST => return Ok(Some(Length { characters, is_filled })),
        0 => format!("length for type {name} must be at least 1"),
        _ => format!("length for type {name} cannot exceed {MOST}"),
    };
    Err(SqlError::Invalid { sqlstate: "22023", message, hint: None, position: None })
}

impl Length {
    /// `text` with that many characters at most.
    pub(super) fn cut(self, text: Expr) -> Expr {
        let cut = call("left", vec![text, self.count()]);
        if self.is_filled { call("rtrim", vec![cut]) } else { cut }
    }

    fn count(self) -> Expr {
        Expr::value(Value::Number(self.characters.to_string(), false))
    }
}

/// A column that is a cast to `char(n)`, as it is shown.
pub(super) fn shown(column: &Expr) -> Option<Expr> {
    match column {
        Expr::Nested(inner) => shown(inner),
        Expr::Cast { data_type, .. } => {
            let length = of(data_type).ok()??;
            length.is_filled.then(|| call("rpad", vec![column.clone(), length.count()]))
        }
        _ => None,
    }
}
