//! Which files a model of a family may have.

use crate::registry::half_name;

/// The name that the graph of a model of one file gets.
pub(super) const GRAPH: &str = "model.onnx";

/// The files of a family, in the order in which an entry lists them.
pub(super) struct FamilyFiles {
    /// Those that it cannot do without.
    pub(super) required: &'static [&'static str],
    /// Those that it takes where they are: a way of decoding, or what tokens mean.
    pub(super) optional: &'static [&'static str],
}

const OF_FAMILIES: &[(&str, FamilyFiles)] = &[
    ("yolov8", ONE_GRAPH),
    ("yolox", ONE_GRAPH),
    ("detr", ONE_GRAPH),
    ("ssd", ONE_GRAPH),
    ("osnet", ONE_GRAPH),
    (
        "blip",
        FamilyFiles {
            required: &["vision_encoder.onnx", "vocab.txt"],
            optional: &[
                "cross_attention.onnx",
                "text_decoder_with_past.onnx",
                "text_decoder.onnx",
                "generation_config.json",
            ],
        },
    ),
    (
        "blip2",
        FamilyFiles {
            required: &[
                "vision_encoder.onnx",
                "qformer.onnx",
                "language_projection.onnx",
                "embed_tokens.onnx",
                "text_decoder_with_past.onnx",
                "tokenizer.json",
            ],
            optional: &["generation_config.json"],
        },
    ),
    ("minilm", SENTENCES),
    ("mpnet", SENTENCES),
    ("cross-encoder", SENTENCES),
    ("aflink", ONE_GRAPH),
];

const ONE_GRAPH: FamilyFiles = FamilyFiles { required: &[GRAPH], optional: &[] };

const SENTENCES: FamilyFiles = FamilyFiles { required: &[GRAPH, "tokenizer.json"], optional: &[] };

impl FamilyFiles {
    /// The files of a family; those of one graph for a family that is not listed.
    pub(super) fn of(family: &str) -> &'static Self {
        OF_FAMILIES.iter().find(|(name, _)| *name == family).map_or(&ONE_GRAPH, |(_, files)| files)
    }

    /// Whether its only file is a graph, so that a path to a file says everything.
    pub(super) fn is_one_graph(&self) -> bool {
        self.required == [GRAPH]
    }

    /// The float16 forms that its graphs may have beside them.
    pub(super) fn halves(&self) -> impl Iterator<Item = String> {
        let graphs = self.required.iter().chain(self.optional);
        graphs.filter(|name| name.ends_with(".onnx")).map(|name| half_name(name))
    }

    /// A sentence that lists them.
    pub(super) fn told(&self, family: &str) -> String {
        let required = self.required.join(", ");
        match self.optional {
            [] => format!("A model of family \"{family}\" has {required}."),
            optional => format!(
                "A model of family \"{family}\" has {required}; it may have {}.",
                optional.join(", ")
            ),
        }
    }
}

/// Whether a file has weights of a graph that is too large for one file.
pub(super) fn is_weights(name: &str) -> bool {
    name.ends_with(".onnx.data") || name.ends_with(".onnx_data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_says_which_files_it_has() {
        let here = OF_FAMILIES.iter().map(|(name, _)| *name);
        assert!(here.eq(crate::manifest::FAMILIES.iter().map(|(name, _)| *name)));
    }
}
