//! The options of captions and of their vectors. What decodes a caption has the names of Hugging Face
//! transformers' `generate`.

use super::table::{BOOLEAN, FRACTION, MODEL};
use crate::source::option::OptionDoc;
use crate::source::value;

pub(super) const CAPTIONS: &[OptionDoc] = &[
    OptionDoc {
        name: "captioner",
        kind: "text",
        default: "caption-standin",
        range: MODEL,
        doc: "The model that describes key frames; with 'none' a caption lists the detected objects alone.",
        set: |o, text| {
            o.captioner = value::name(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "num_beams",
        kind: "integer",
        default: "5",
        range: "an integer from 1 to 64",
        doc: "Beams of the caption's search; 1 is greedy.",
        set: |o, text| {
            o.num_beams = value::integer(text, 1, 64)?;
            Some(())
        },
    },
    OptionDoc {
        name: "max_caption_length",
        kind: "integer",
        default: "50",
        range: "an integer from 2 to 512",
        doc: "Longest caption, in tokens of the captioner.",
        set: |o, text| {
            o.max_caption_length = value::integer(text, 2, 512)?;
            Some(())
        },
    },
    OptionDoc {
        name: "length_penalty",
        kind: "float8",
        default: "1",
        range: "a number from -10 to 10",
        doc: "The exponent of the length by which a finished caption's score is divided: above 0 longer ones win, below 0 shorter ones.",
        set: |o, text| {
            let penalty = value::number(text).filter(|penalty| penalty.abs() <= 10.0)?;
            o.caption_search.length_penalty = penalty as f32;
            Some(())
        },
    },
    OptionDoc {
        name: "early_stopping",
        kind: "boolean",
        default: "true",
        range: BOOLEAN,
        doc: "The search over beams ends with as many finished captions as beams; with false when no open one is likely to become better.",
        set: |o, text| {
            o.caption_search.early_stopping = value::boolean(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "repetition_penalty",
        kind: "float8",
        default: "1",
        range: "a number above 0 and up to 100",
        doc: "How much less likely a token that was said already becomes; 1 is not at all.",
        set: |o, text| {
            o.caption_search.repetition_penalty = positive(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "do_sample",
        kind: "boolean",
        default: "false",
        range: BOOLEAN,
        doc: "Draws the tokens of a caption at random instead of searching for the likeliest; the same sampling_seed and picture give the same caption.",
        set: |o, text| {
            o.caption_search.do_sample = value::boolean(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "temperature",
        kind: "float8",
        default: "1",
        range: "a number above 0 and up to 100",
        doc: "With do_sample: below 1 likely tokens become likelier, above 1 less so.",
        set: |o, text| {
            o.caption_search.sampling.temperature = positive(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "top_k",
        kind: "integer",
        default: "50",
        range: "an integer from 0 to 1000000",
        doc: "With do_sample: only so many of the likeliest tokens are drawn from; 0 is all.",
        set: |o, text| {
            o.caption_search.sampling.top_k = value::integer(text, 0, 1_000_000)?;
            Some(())
        },
    },
    OptionDoc {
        name: "top_p",
        kind: "float8",
        default: "1",
        range: FRACTION,
        doc: "With do_sample: only the likeliest tokens that together have this probability are drawn from.",
        set: |o, text| {
            o.caption_search.sampling.top_p = value::fraction(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "sampling_seed",
        kind: "bigint",
        default: "0",
        range: "an integer from 0",
        doc: "With do_sample: where the random numbers begin.",
        set: |o, text| {
            o.caption_search.sampling.seed = value::integer(text, 0, i64::MAX)?;
            Some(())
        },
    },
    OptionDoc {
        name: "caption_batch_size",
        kind: "integer",
        default: "1",
        range: "an integer from 1 to 16",
        doc: "Key frames that go into one run of the captioner at most. More are faster on a GPU; networks may give other last digits in a batch, so which frames meet in one can change a word.",
        set: |o, text| {
            o.caption_batch_size = value::integer(text, 1, 16)?;
            Some(())
        },
    },
    OptionDoc {
        name: "embedder",
        kind: "text",
        default: "all-minilm-l6-v2-int8",
        range: MODEL,
        doc: "The model that turns captions into vectors.",
        set: |o, text| {
            o.embedder = value::name(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "normalize_embeddings",
        kind: "boolean",
        default: "true",
        range: BOOLEAN,
        doc: "Vectors of captions have length 1; with false they are the network's own. The cosine distance is the same.",
        set: |o, text| {
            o.normalize_embeddings = value::boolean(text)?;
            Some(())
        },
    },
];

/// A number above 0 and up to 100.
fn positive(text: &str) -> Option<f32> {
    let number = value::number(text).filter(|number| *number <= 100.0)? as f32;
    (number > 0.0).then_some(number)
}
