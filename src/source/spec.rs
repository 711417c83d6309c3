//! A source as its statement describes it, checked.

use std::path::{Path, PathBuf};

use vigil_sql::{CreateSource, Origin};

use super::check;
use super::error::SourceError;
use super::moving_boxes::MovingBoxes;
use super::option;
use super::options::{SourceDefaults, SourceOptions};
use super::places::AllowedPlaces;
use super::text::StatementText;

/// Everything that the engine has to know to run a source.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceSpec {
    /// The source's name, as the catalog shows it.
    pub name: String,
    /// Where its frames come from.
    pub origin: SourceOrigin,
    /// The path or URL as it was given, or the `LOAD GENERATOR …` text.
    pub url: String,
    /// Every option, given or by default.
    pub options: SourceOptions,
    /// The statement that makes this source again.
    pub create_sql: String,
}

/// Where frames come from.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceOrigin {
    /// A video file, by its absolute path.
    File(PathBuf),
    /// The load generator that draws moving boxes.
    MovingBoxes(MovingBoxes),
}

impl SourceSpec {
    /// Checks a statement: its options, their values, and that the file is there and readable.
    /// Options that it does not give are taken from `defaults`; a relative path is looked for
    /// below `base_dir`.
    ///
    /// # Errors
    /// [`SourceError`], for the first thing that is wrong in the order in which it is written.
    pub fn from_statement(
        statement: &CreateSource,
        defaults: &SourceDefaults,
        base_dir: &Path,
    ) -> Result<Self, SourceError> {
        Self::from_statement_in(statement, defaults, base_dir, &AllowedPlaces::default())
    }

    /// The same, from `places` alone.
    ///
    /// # Errors
    /// Also [`SourceError::NotAllowed`] and [`SourceError::ForbiddenAddress`].
    pub fn from_statement_in(
        statement: &CreateSource,
        defaults: &SourceDefaults,
        base_dir: &Path,
        places: &AllowedPlaces,
    ) -> Result<Self, SourceError> {
        let (origin, url) = match &statement.origin {
            Origin::Url(url) => {
                (SourceOrigin::File(check::file(url, base_dir, places)?), url.clone())
            }
            Origin::LoadGenerator { name, options } => {
                let boxes = MovingBoxes::from_options(name, options)?;
                let url = generator_text(name, options);
                (SourceOrigin::MovingBoxes(boxes), url)
            }
        };
        let mut parsed = match &origin {
            SourceOrigin::File(_) => SourceOptions::for_file(defaults),
            SourceOrigin::MovingBoxes(_) => SourceOptions::for_load_generator(defaults),
        };
        option::apply(super::options(), &mut parsed, &statement.options)?;
        // Who lowers the upper threshold alone wants the lower one not to stand in the way.
        if !option::is_given("track_low_threshold", &statement.options) {
            parsed.track_low_threshold =
                parsed.track_low_threshold.min(parsed.confidence_threshold);
        }
        check::together(&origin, &parsed)?;
        check::tracker(&parsed, &statement.options)?;
        let create_sql = create_sql(statement);
        Ok(Self { name: statement.name.clone(), origin, url, options: parsed, create_sql })
    }

    /// Whether the same frames can be read again from the start.
    pub fn is_replayable(&self) -> bool {
        match self.origin {
            SourceOrigin::File(_) | SourceOrigin::MovingBoxes(_) => true,
        }
    }
}

fn generator_text(name: &str, options: &[(String, String)]) -> String {
    let mut text = StatementText::new(&format!("LOAD GENERATOR {}", name.to_uppercase()));
    text.options("", options);
    text.into()
}

/// The canonical statement: what was given, in the order given, nothing that is a default.
fn create_sql(statement: &CreateSource) -> String {
    let mut sql = StatementText::new("CREATE SOURCE ");
    sql.identifier(&statement.name);
    sql.words(" FROM ");
    match &statement.origin {
        Origin::Url(url) => sql.literal(url),
        Origin::LoadGenerator { name, options } => sql.words(&generator_text(name, options)),
    }
    sql.options(" WITH", &statement.options);
    sql.into()
}

#[cfg(test)]
mod tests;
