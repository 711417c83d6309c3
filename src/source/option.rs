//! The machinery of option tables: a table entry says what an option is called, what it takes and
//! where it goes; parsing, errors, nearest names and documentation all come from the entries.

use super::error::SourceError;
use super::options::ALIASES;

/// One option of a `WITH (…)` or load-generator list, setting a field of `T`.
#[derive(Clone, Copy, Debug)]
pub struct OptionDoc<T = super::SourceOptions> {
    /// The option's name, lower case.
    pub name: &'static str,
    /// What it takes: `text`, `integer`, `float8`, `boolean`, `interval`, `timestamptz`, `bytes`.
    pub kind: &'static str,
    /// The value when it is not given, as one would write it; or, in words, where it comes from.
    pub default: &'static str,
    /// The values that it takes, for the error's hint: a phrase that follows "takes".
    pub range: &'static str,
    /// What it does: a sentence.
    pub doc: &'static str,
    pub(super) set: fn(&mut T, &str) -> Option<()>,
}

impl<T> OptionDoc<T> {
    /// An option: its name, kind and default; what it takes; what it does; how it is set, `None`
    /// for a value that it does not take.
    pub(crate) const fn new(
        (name, kind, default): (&'static str, &'static str, &'static str),
        range: &'static str,
        doc: &'static str,
        set: fn(&mut T, &str) -> Option<()>,
    ) -> Self {
        Self { name, kind, default, range, doc, set }
    }
}

/// Sets each given option through its entry, in the order written.
pub(crate) fn apply<T>(
    table: &[OptionDoc<T>],
    target: &mut T,
    given: &[(String, String)],
) -> Result<(), SourceError> {
    for (index, (name, value)) in given.iter().enumerate() {
        let canonical = canonical(name);
        let Some(entry) = table.iter().find(|entry| entry.name == canonical) else {
            return Err(unknown(table, name));
        };
        if given.iter().take(index).any(|(earlier, _)| self::canonical(earlier) == canonical) {
            return Err(SourceError::RepeatedOption { option: name.clone() });
        }
        if (entry.set)(target, value.trim()).is_none() {
            return Err(SourceError::InvalidValue {
                option: name.clone(),
                value: value.clone(),
                range: entry.range,
            });
        }
    }
    Ok(())
}

/// Whether an option of the table is given, under whatever name.
pub(super) fn is_given(option: &str, given: &[(String, String)]) -> bool {
    given.iter().any(|(name, _)| canonical(name) == option)
}

/// The name in the table of what other programs call otherwise.
pub(super) fn canonical(name: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name)
}

fn unknown<T>(table: &[OptionDoc<T>], name: &str) -> SourceError {
    let names = || table.iter().map(|entry| entry.name);
    SourceError::UnknownOption {
        option: name.to_owned(),
        nearest: nearest(name, names()),
        known: names().collect::<Vec<_>>().join(", "),
    }
}

/// The known name that `name` most probably means: the first that it is short for, each of its words
/// beginning one of the candidate's; else the nearest by edit distance with transpositions, where up to
/// a third of the letters may differ.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let name = name.to_lowercase();
    let known: Vec<&str> = known.into_iter().collect();
    let by_edits = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, candidate), *candidate))
        .filter(|(distance, candidate)| distance * 3 <= candidate.len().max(name.len()))
        .min();
    let short_for = || known.iter().find(|candidate| is_short_for(&name, candidate)).copied();
    let is_near = by_edits.is_some_and(|(distance, _)| distance <= 2);
    let nearest = match by_edits {
        Some((_, candidate)) if is_near => Some(candidate),
        _ => short_for().or(by_edits.map(|(_, candidate)| candidate)),
    };
    nearest.map(str::to_owned)
}

/// Whether each word of `name` begins a word of `candidate`: `conf_threshold` for
/// `confidence_threshold`.
fn is_short_for(name: &str, candidate: &str) -> bool {
    const FEWEST_LETTERS: usize = 3;
    let words = |text: &'_ str| text.split(['_', '-']).map(str::to_owned).collect::<Vec<_>>();
    let of_candidate = words(candidate);
    words(name).iter().all(|word| {
        word.len() >= FEWEST_LETTERS
            && of_candidate.iter().any(|other| other.starts_with(word.as_str()))
    })
}
