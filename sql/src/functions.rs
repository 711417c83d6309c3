//! SQL functions that need a session or an engine; all others are in `vigil-udfs`. One file each,
//! one line in [`register`].

mod frame_image;
mod vector_search;
mod version;

use std::sync::Arc;

use datafusion::prelude::SessionContext;
use vigil_udfs::FunctionDoc;

use crate::Engine;

pub(crate) use self::version::{SERVER_VERSION, SERVER_VERSION_NUM};

/// Registers all of them.
pub(crate) fn register(context: &SessionContext, engine: &Arc<dyn Engine>) {
    context.register_udf(frame_image::function(Arc::clone(engine)));
    context.register_udf(version::function());
    let search = vector_search::VectorSearch { engine: Arc::clone(engine) };
    context.register_udtf(vector_search::DOC.name, Arc::new(search));
}

/// What is written about each of them, in the order of the reference page.
pub fn docs() -> Vec<&'static FunctionDoc> {
    vec![&frame_image::DOC, &version::DOC, &vector_search::DOC]
}
