//! The operator `embed`: captioned key frames go in, the same with the vector of their caption
//! come out. A failed embedding is a fault and no vector, never a vector of zeros.

use std::sync::Arc;

use timely::dataflow::Stream;
use vigil_models::{EmbedOptions, EmbedderHandle};

use crate::caption::CaptionedFrame;
use crate::dataflow::clock::Tick;
use crate::dataflow::metrics::DataflowMetrics;
use crate::dataflow::offload::{Answer, OksAndErrs, offload};
use crate::fault::{Fault, Stage};

/// At most so many captions of a source are with the embedder at a time.
const EMBEDDINGS_AT_ONCE: usize = 8;

/// A captioned key frame and the vector of its caption.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedFrame {
    /// The caption.
    pub captioned: CaptionedFrame,
    /// The vector, of length 1 unless the source asks for the network's own; `None` without caption
    /// or embedder, or when it failed.
    pub embedding: Option<Arc<[f32]>>,
}

/// Builds the operator; without an embedder it gives no vectors.
pub fn embed<'scope>(
    captions: Stream<'scope, Tick, Vec<CaptionedFrame>>,
    embedder: Option<(EmbedderHandle, EmbedOptions)>,
    metrics: &DataflowMetrics,
) -> OksAndErrs<'scope, EmbeddedFrame> {
    let metrics = metrics.operator("embed");
    offload(
        captions,
        "embed",
        EMBEDDINGS_AT_ONCE,
        metrics,
        |_| true,
        move |captioned: CaptionedFrame, reply| {
            let (Some((embedder, options)), Some(text)) = (&embedder, captioned.caption.clone())
            else {
                return reply.ok(EmbeddedFrame { captioned, embedding: None });
            };
            let reply = reply.or_else(Answer {
                ok: Some(EmbeddedFrame { captioned: captioned.clone(), embedding: None }),
                fault: Some(Fault::refused(Stage::Embed, captioned.frame_number)),
            });
            let done = move |result: Result<Vec<Vec<f32>>, _>| {
                let (embedding, fault) = match result {
                    Ok(vectors) => (vectors.into_iter().next().map(Arc::from), None),
                    Err(error) => {
                        let frame_number = captioned.frame_number;
                        (None, Some(Fault::of_model(Stage::Embed, frame_number, &error)))
                    }
                };
                reply.send(Answer { ok: Some(EmbeddedFrame { captioned, embedding }), fault });
            };
            if let Err(error) = embedder.submit(vec![text], *options, Box::new(done)) {
                tracing::debug!(%error, "the embedder refused a caption");
            }
        },
    )
}
