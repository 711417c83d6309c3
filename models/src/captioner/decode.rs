//! Decoding: a network that scores next tokens goes in, the tokens of each picture's caption come
//! out. The captions of several pictures are decoded side by side, each by a search of its own.

use super::CaptionOptions;
use super::beam::Beams;
use super::sample::Sampler;
use crate::ModelError;

/// A sequence whose next token is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    /// The picture it is about. Rows of a picture follow each other, pictures in order; one that
    /// is finished has no rows and gets none again.
    pub(super) picture: usize,
    /// The row of the step before that it continues; in the first step its own number.
    pub(super) parent: usize,
    /// Its tokens so far.
    pub(super) tokens: &'a [i64],
}

/// A network that scores next tokens.
pub(super) trait Decoder {
    /// The model's name, for errors.
    fn name(&self) -> &str;

    /// Writes the logits of each row's next token into the empty buffer, a row after the other.
    /// All rows have as many tokens, one more than in the step before.
    fn step(&mut self, rows: &[Row<'_>], logits: &mut Vec<f32>) -> Result<(), ModelError>;
}

/// How sentences of a model begin and end.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    /// The tokens that each sequence starts with.
    pub(super) prompt: Vec<i64>,
    /// The token that ends a sequence; it is not in the answer.
    pub(super) end: i64,
}

/// One picture's search.
enum Search {
    Beams(Beams),
    Sampler(Box<Sampler>),
}

impl Search {
    fn new(ends: &Ends, options: &CaptionOptions) -> Self {
        match &options.sampling {
            None => Self::Beams(Beams::new(ends, options)),
            Some(sampling) => Self::Sampler(Box::new(Sampler::new(ends, options, sampling))),
        }
    }

    /// The open sequences, each with the place of the one that it continues; none when it is over.
    fn open(&self) -> Vec<(&[i64], usize)> {
        match self {
            Self::Beams(beams) => beams.open(),
            Self::Sampler(sampler) => {
                sampler.open().map(|tokens| (tokens, 0)).into_iter().collect()
            }
        }
    }

    fn advance(&mut self, logits: &mut [f32], vocabulary: usize) -> Option<()> {
        match self {
            Self::Beams(beams) => beams.advance(logits, vocabulary),
            Self::Sampler(sampler) => sampler.advance(logits),
        }
    }

    fn finish(self) -> Vec<i64> {
        match self {
            Self::Beams(beams) => beams.finish(),
            Self::Sampler(sampler) => sampler.finish(),
        }
    }
}

/// The tokens of each of `pictures` captions, without start and end.
///
/// # Errors
/// What the decoder says, and [`ModelError::Run`] when its logits have NaN in them.
pub(super) fn decode(
    decoder: &mut dyn Decoder,
    pictures: usize,
    ends: &Ends,
    options: &CaptionOptions,
) -> Result<Vec<Vec<i64>>, ModelError> {
    let mut searches: Vec<Search> =
        std::iter::repeat_with(|| Search::new(ends, options)).take(pictures).collect();
    let mut first_rows: Vec<usize> = (0..pictures).collect();
    let mut logits = Vec::new();
    for _ in 1..options.max_length {
        let mut rows = Vec::new();
        for (picture, search) in searches.iter().enumerate() {
            let first = rows.len();
            let before = first_rows[picture];
            let open = search.open().into_iter();
            rows.extend(open.map(|(tokens, place)| Row {
                picture,
                parent: before + place,
                tokens,
            }));
            first_rows[picture] = first;
        }
        if rows.is_empty() {
            break;
        }
        logits.clear();
        decoder.step(&rows, &mut logits)?;
        let vocabulary = logits.len() / rows.len();
        let mut counts = vec![0; pictures];
        rows.iter().for_each(|row| counts[row.picture] += 1);
        let mut rest = &mut logits[..];
        for (search, count) in searches.iter_mut().zip(counts).filter(|(_, count)| *count > 0) {
            let (own, others) = rest.split_at_mut(count * vocabulary);
            rest = others;
            search.advance(own, vocabulary).ok_or_else(|| ModelError::Run {
                name: decoder.name().into(),
                detail: "the logits have NaN in them".into(),
            })?;
        }
    }
    Ok(searches.into_iter().map(Search::finish).collect())
}

#[cfg(test)]
mod tests;
