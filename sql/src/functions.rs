//! SQL functions that need a session or an engine; all others are in `vigil-udfs`. One file each,
//! one line in [`register`].

mod advisory;
mod arguments;
mod backend;
mod bm25;
mod bounded;
mod clock;
mod frame_image;
mod hybrid_search;
mod similar_tracks;
mod text_matches;
mod vector_search;
mod version;

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionContext;
use vigil_udfs::FunctionDoc;

use crate::Engine;
use crate::access::Access;
use crate::activity::{Activity, Backend};

pub(crate) use self::bounded::register as put_bounds;
pub(crate) use self::version::{SERVER_VERSION, SERVER_VERSION_NUM};

/// Registers those that are the same for all sessions.
pub(crate) fn register(context: &SessionContext, engine: &Arc<dyn Engine>) {
    context.register_udf(version::function());
    for function in clock::functions(chrono::Utc::now().timestamp_micros()) {
        context.register_udf(function);
    }
    let search = vector_search::VectorSearch { engine: Arc::clone(engine) };
    context.register_udtf(vector_search::DOC.name, Arc::new(search));
    let search = hybrid_search::HybridSearch { engine: Arc::clone(engine) };
    context.register_udtf(hybrid_search::DOC.name, Arc::new(search));
    let search = similar_tracks::SimilarTracks { engine: Arc::clone(engine) };
    context.register_udtf(similar_tracks::DOC.name, Arc::new(search));
}

/// Those of one session.
pub(crate) fn of_session(
    activity: &Arc<Activity>,
    backend: &Arc<Backend>,
    access: &Arc<Access>,
) -> Vec<ScalarUDF> {
    let mut functions = backend::functions(activity, backend, access);
    functions.extend(advisory::functions(activity, backend));
    functions
}

/// `frame_image` over the engine as a session sees it.
pub(crate) fn frame_image(engine: Arc<dyn Engine>) -> ScalarUDF {
    frame_image::function(engine)
}

/// What is written about each of them, in the order of the reference page.
pub fn docs() -> Vec<&'static FunctionDoc> {
    let mut docs = vigil_udfs::aggregate_docs();
    docs.extend([
        &frame_image::DOC,
        &version::DOC,
        &vector_search::DOC,
        &hybrid_search::DOC,
        &similar_tracks::DOC,
        &backend::PID_DOC,
        &backend::CANCEL_DOC,
        &backend::TERMINATE_DOC,
    ]);
    docs
}
