//! How the engine's models are run together.

use std::time::Duration;

use vigil_models::ServiceOptions;

/// Requests that may wait for a model; each source has a few at most.
const QUEUE: usize = 1024;

/// What the requests of all sources to one model have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InferenceConfig {
    /// Requests that go into one run together at most, of whichever sources; a source's own
    /// `batch_size` raises it for its model.
    pub max_batch: usize,
    /// How long a run waits for more requests when it has fewer.
    pub max_wait: Duration,
    /// How long a model that nothing uses stays in memory.
    pub keep_loaded: Duration,
    /// Captions that each source remembers by what their pictures look like; 0 is none.
    pub caption_cache: usize,
}

impl Default for InferenceConfig {
    /// One request a run, as a batch is no faster on a CPU; 5 minutes; 1,000 captions.
    fn default() -> Self {
        let ServiceOptions { max_batch, max_wait, keep_loaded, caption_cache, .. } =
            ServiceOptions::default();
        Self { max_batch, max_wait, keep_loaded, caption_cache }
    }
}

impl InferenceConfig {
    /// The same for the service, with as many threads for a run.
    pub(super) fn service_options(self, intra_threads: usize) -> ServiceOptions {
        let Self { max_batch, max_wait, keep_loaded, caption_cache } = self;
        let intra_threads = intra_threads.max(1);
        ServiceOptions {
            intra_threads,
            max_batch,
            max_wait,
            queue: QUEUE,
            keep_loaded,
            caption_cache,
        }
    }
}
