//! Linking tracks: the ways of an earlier and a later track go in, how likely it is that both are
//! one object comes out.

use crate::backend::SessionOptions;
use crate::manifest::ModelEntry;
use crate::{ModelError, Registry};

mod aflink;

/// Where an object was: the frame's number, and the left and the top edge of its box in pixels.
pub type Place = [f64; 3];

/// An earlier and a later track, each in the order of its frames.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrackPair {
    /// The last places of the earlier one.
    pub earlier: Vec<Place>,
    /// The first places of the later one.
    pub later: Vec<Place>,
}

/// A network that compares ways and looks at no picture. One family a file, below `linker/`.
pub trait Linker: Send {
    /// How likely each pair is one object (0..=1), in order. Places beyond those that the network
    /// takes are left out: the first of the earlier track and the last of the later one.
    ///
    /// # Errors
    /// [`ModelError::Run`] when the network fails or gives NaN.
    fn link(&mut self, pairs: &[TrackPair]) -> Result<Vec<f32>, ModelError>;
}

/// Opens a linker of one family.
pub(crate) type Open =
    fn(&Registry, &ModelEntry, SessionOptions) -> Result<Box<dyn Linker>, ModelError>;

/// The families of linkers, by the names that a manifest gives them.
pub(crate) const FAMILIES: [(&str, Open); 1] = [("aflink", aflink::open)];

/// Opens the linker of a manifest entry and checks its tensors.
///
/// # Errors
/// As [`crate::open_detector`].
pub fn open_linker(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn Linker>, ModelError> {
    let open = crate::family::find(&FAMILIES, "linker", entry)?;
    open(registry, entry, options)
}
