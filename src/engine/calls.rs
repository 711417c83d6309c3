//! The models that SQL functions may call: `embed(text)` and `embed(text, model)`.

use std::sync::Arc;

use vigil_models::{EmbedderHandle, InferenceService, ModelError};
use vigil_udfs::ModelCalls;

/// Calls of the engine's models.
pub(super) struct EngineCalls {
    service: Arc<InferenceService>,
    default_embedder: String,
}

impl std::fmt::Debug for EngineCalls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineCalls")
            .field("default_embedder", &self.default_embedder)
            .finish_non_exhaustive()
    }
}

impl EngineCalls {
    pub(super) fn new(service: Arc<InferenceService>, default_embedder: String) -> Self {
        Self { service, default_embedder }
    }

    fn embedder(&self, model: Option<&str>) -> Result<EmbedderHandle, ModelError> {
        self.service.embedder(model.unwrap_or(&self.default_embedder))
    }
}

impl ModelCalls for EngineCalls {
    fn embed(&self, model: Option<&str>, texts: &[&str]) -> Result<Vec<Arc<[f32]>>, ModelError> {
        let vectors = self.embedder(model)?.embed(texts)?;
        Ok(vectors.into_iter().map(Arc::from).collect())
    }

    fn rerank(&self, model: &str, question: &str, texts: &[&str]) -> Result<Vec<f32>, ModelError> {
        self.service.reranker(model)?.rerank(question, texts)
    }

    fn dimensions(&self, model: Option<&str>) -> Result<usize, ModelError> {
        Ok(self.embedder(model)?.dimensions())
    }

    fn model_id(&self, model: Option<&str>) -> Result<String, ModelError> {
        Ok(self.embedder(model)?.id().to_string())
    }
}
