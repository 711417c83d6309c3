//! Checks that look beyond one option: the file of a source, and options that concern each other.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use url::Url;

use super::error::SourceError;
use super::option::canonical;
use super::options::{GROUND_TRUTH, SourceOptions, heeded};
use super::places::AllowedPlaces;
use super::spec::SourceOrigin;
use crate::track::{AssociationMethod, TrackerKind};

/// The absolute path of a readable file, from a path or a `file://` URL.
pub(super) fn file(
    text: &str,
    base_dir: &Path,
    places: &AllowedPlaces,
) -> Result<PathBuf, SourceError> {
    let path = places.file(&base_dir.join(path_of(text, places)?))?;
    if kind_of(&path)? == Kind::Folder {
        let path = path.display().to_string();
        return Err(SourceError::NotAFile { path, what: "a directory" });
    }
    fs::File::open(&path).map_err(|error| at(&path, &error))?;
    Ok(path)
}

/// The absolute path of a model's file or of a folder with its files, from a path or a `file://`
/// URL.
///
/// # Errors
/// As those of a source's file.
pub(crate) fn model_path(
    text: &str,
    base_dir: &Path,
    places: &AllowedPlaces,
) -> Result<PathBuf, SourceError> {
    let path = places.file(&base_dir.join(path_of(text, places)?))?;
    match kind_of(&path)? {
        Kind::Folder => fs::read_dir(&path).map(drop),
        Kind::File => fs::File::open(&path).map(drop),
    }
    .map_err(|error| at(&path, &error))?;
    Ok(path)
}

/// What may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
}

fn kind_of(path: &Path) -> Result<Kind, SourceError> {
    let kind = fs::metadata(path).map_err(|error| at(path, &error))?.file_type();
    if kind.is_dir() {
        return Ok(Kind::Folder);
    }
    if !kind.is_file() {
        // A pipe would block who opens it, and none of these can be read again.
        let path = path.display().to_string();
        return Err(SourceError::NotAFile { path, what: "a device, pipe or socket" });
    }
    Ok(Kind::File)
}

fn at(path: &Path, error: &std::io::Error) -> SourceError {
    let path = path.display().to_string();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => SourceError::NotFound { path },
        ErrorKind::PermissionDenied => SourceError::PermissionDenied { path },
        _ => SourceError::Io { path, detail: format!("{error}.") },
    }
}

fn path_of(text: &str, places: &AllowedPlaces) -> Result<PathBuf, SourceError> {
    if text.is_empty() {
        return Err(SourceError::InvalidUrl { url: String::new(), detail: "It is empty.".into() });
    }
    if text.contains('\0') {
        let url = text.replace('\0', "\\0");
        let detail = "A path does not contain the character 0.".into();
        return Err(SourceError::InvalidUrl { url, detail });
    }
    let Some(scheme) = scheme_of(text) else {
        return Ok(PathBuf::from(text));
    };
    if scheme != "file" {
        if let Ok(url) = Url::parse(text) {
            places.url(&url)?;
        }
        return Err(SourceError::UnsupportedScheme { scheme });
    }
    let invalid = |detail: String| SourceError::InvalidUrl { url: text.to_owned(), detail };
    let url = Url::parse(text).map_err(|error| invalid(format!("The URL has an {error}.")))?;
    url.to_file_path().map_err(|()| invalid("It names another machine or has no path.".into()))
}

/// The scheme of a text that is a URL: letters, digits, `+`, `-` and `.` before `://`.
fn scheme_of(text: &str) -> Option<String> {
    let (scheme, _) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    is_scheme.then(|| scheme.to_ascii_lowercase())
}

/// Options that are right alone, but not together.
pub(super) fn together(origin: &SourceOrigin, options: &SourceOptions) -> Result<(), SourceError> {
    if options.detector == GROUND_TRUTH && matches!(origin, SourceOrigin::File(_)) {
        return Err(SourceError::NoGroundTruth);
    }
    if options.max_width.is_some() && matches!(origin, SourceOrigin::MovingBoxes(_)) {
        return Err(SourceError::Conflict {
            option: "max_width",
            other: "LOAD GENERATOR",
            reason: "Frames are drawn as wide as the generator's own width says.".into(),
        });
    }
    if options.track_low_threshold > options.confidence_threshold {
        return Err(SourceError::Conflict {
            option: "track_low_threshold",
            other: "confidence_threshold",
            reason: format!(
                "The lower threshold, {}, is above the upper one, {}.",
                options.track_low_threshold, options.confidence_threshold
            ),
        });
    }
    Ok(())
}

/// Options of trackers that are right alone, but not together or not with the tracker.
pub(super) fn tracker(
    options: &SourceOptions,
    given: &[(String, String)],
) -> Result<(), SourceError> {
    for (name, _) in given {
        heeded::check(options.tracker, canonical(name))?;
    }
    let has_rounds = options.tracker != TrackerKind::IOU && options.tracker != TrackerKind::NONE;
    if has_rounds && options.track_low_threshold > options.track.track_high_thresh {
        return Err(SourceError::Conflict {
            option: "track_low_threshold",
            other: "track_high_thresh",
            reason: format!(
                "The lower threshold, {}, is above the upper one, {}.",
                options.track_low_threshold, options.track.track_high_thresh
            ),
        });
    }
    if options.track.association_method == AssociationMethod::Cosine {
        let tracker = options.tracker.name;
        let reason = if !options.tracker.asks_appearance {
            format!(
                "The tracker '{tracker}' does not look at appearances; 'deepsort' and 'strongsort' do."
            )
        } else if !options.track.appearance_embedding {
            "With appearance_embedding off there are no appearances to compare.".to_owned()
        } else {
            return Ok(());
        };
        return Err(SourceError::Conflict {
            option: "association_method",
            other: "tracker",
            reason,
        });
    }
    Ok(())
}
