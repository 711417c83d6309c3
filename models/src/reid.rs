//! Re-identification: cut-outs of a picture go in, vectors that tell individuals apart come out.

use crate::backend::{RunsOn, SessionOptions};
use crate::manifest::ModelEntry;
use crate::{BBox, Image, ModelError, Registry};

mod crop;
mod osnet;

/// A network that turns an object's appearance into a vector. One family a file, below `reid/`.
pub trait ReId: Send {
    /// The device that it runs on, and why.
    fn runs_on(&self) -> &RunsOn;

    /// The length of the vectors.
    fn dimensions(&self) -> usize;

    /// One L2-normalised vector of [`ReId::dimensions`] numbers for each box (pixels of the
    /// picture) of each request, in order; the cosine of two is their likeness. A box is cut at
    /// the picture's edges.
    ///
    /// # Errors
    /// [`ModelError::BadImage`] when a box has no pixel in its picture or is no box,
    /// [`ModelError::Run`] when the network fails or gives NaN; never a zero vector.
    fn appearance(
        &mut self,
        requests: &[(&Image, &[BBox])],
    ) -> Result<Vec<Vec<Vec<f32>>>, ModelError>;
}

/// Opens a re-identification network of one family.
pub(crate) type Open =
    fn(&Registry, &ModelEntry, SessionOptions) -> Result<Box<dyn ReId>, ModelError>;

/// The families of re-identification networks, by the names that a manifest gives them.
pub(crate) const FAMILIES: [(&str, Open); 1] = [("osnet", osnet::open)];

/// Opens the re-identification network of a manifest entry and checks its tensors.
///
/// # Errors
/// As [`crate::open_detector`].
pub fn open_reid(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn ReId>, ModelError> {
    let open = crate::family::find(&FAMILIES, "reid", entry)?;
    open(registry, entry, options)
}
