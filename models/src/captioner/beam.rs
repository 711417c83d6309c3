//! Beam search over the captions of one picture. Nothing is random.
//!
//! The search is the one of Hugging Face transformers' `generate`: of each step's 2 × beams best
//! continuations those that end within the first beams are finished hypotheses, and the best
//! others go on. A hypothesis' score is its summed log-probability over its length (without the
//! prompt, with the end token) to the power of the length penalty. One beam is greedy search.

use std::cmp::Ordering;

use super::decode::Ends;
use super::logits::{log_softmax, penalise_repetition};
use super::{CaptionOptions, EarlyStopping};

/// The search: what is open, and what is finished.
pub(super) struct Beams {
    prompt: usize,
    end: i64,
    num_beams: usize,
    length_penalty: f32,
    early_stopping: EarlyStopping,
    repetition_penalty: f32,
    open: Vec<Beam>,
    /// Sorted, best first; at most `num_beams`.
    finished: Vec<Hypothesis>,
    done: bool,
}

/// An open sequence.
#[derive(Clone, Debug)]
struct Beam {
    tokens: Vec<i64>,
    /// The sum of log-probabilities.
    score: f32,
    /// The place of the beam that it continues.
    parent: usize,
}

/// A finished sequence, without its end.
#[derive(Clone, Debug)]
struct Hypothesis {
    tokens: Vec<i64>,
    /// The sum of log-probabilities over the length.
    score: f32,
}

/// A continuation of a beam by one token.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    beam: usize,
    token: usize,
    score: f32,
}

impl Beams {
    pub(super) fn new(ends: &Ends, options: &CaptionOptions) -> Self {
        Self {
            prompt: ends.prompt.len(),
            end: ends.end,
            num_beams: options.num_beams.max(1),
            length_penalty: options.length_penalty,
            early_stopping: options.early_stopping,
            repetition_penalty: options.repetition_penalty,
            // All beams would start alike; as long as there is one, it is followed once.
            open: vec![Beam { tokens: ends.prompt.clone(), score: 0.0, parent: 0 }],
            finished: Vec::new(),
            done: false,
        }
    }

    /// The open sequences, each with the place of the one that it continues; none when it is over.
    pub(super) fn open(&self) -> Vec<(&[i64], usize)> {
        let open = if self.done { &[][..] } else { &self.open[..] };
        open.iter().map(|beam| (&beam.tokens[..], beam.parent)).collect()
    }

    /// Goes on by one token with the logits of each open sequence; `None` when they have NaN.
    pub(super) fn advance(&mut self, logits: &mut [f32], vocabulary: usize) -> Option<()> {
        self.score(logits, vocabulary)?;
        let best = best_continuations(&self.open, logits, vocabulary, 2 * self.num_beams);
        let open = std::mem::take(&mut self.open);
        // With the token that is chosen now, and without the prompt.
        let length = open.first().map_or(1, |beam| beam.tokens.len() + 1 - self.prompt);
        for (rank, candidate) in best.iter().enumerate() {
            let tokens = &open[candidate.beam].tokens;
            if candidate.token as i64 != self.end {
                let mut tokens = tokens.clone();
                tokens.push(candidate.token as i64);
                self.open.push(Beam { tokens, score: candidate.score, parent: candidate.beam });
            } else if rank < self.num_beams {
                let score = self.final_score(candidate.score, length);
                self.keep(Hypothesis { tokens: tokens.clone(), score });
            }
            if self.open.len() == self.num_beams {
                break;
            }
        }
        self.done = self.open.is_empty() || self.is_over(best.first(), length);
        Some(())
    }

    /// Logits to log-probabilities, with the penalty where transformers applies it: greedy search
    /// penalises logits, a search over beams log-probabilities.
    fn score(&self, logits: &mut [f32], vocabulary: usize) -> Option<()> {
        for (beam, row) in self.open.iter().zip(logits.chunks_exact_mut(vocabulary.max(1))) {
            if self.num_beams == 1 {
                penalise_repetition(row, &beam.tokens, self.repetition_penalty);
                log_softmax(row)?;
            } else {
                log_softmax(row)?;
                penalise_repetition(row, &beam.tokens, self.repetition_penalty);
            }
        }
        Some(())
    }

    /// Whether the search ends, given the best continuation of this step and its length.
    fn is_over(&self, best: Option<&Candidate>, length: usize) -> bool {
        if self.finished.len() < self.num_beams {
            return false;
        }
        match self.early_stopping {
            EarlyStopping::AtOnce => true,
            EarlyStopping::WhenNoBetter => {
                let worst = self.finished.last().map_or(f32::NEG_INFINITY, |worst| worst.score);
                best.is_none_or(|best| worst >= self.final_score(best.score, length))
            }
        }
    }

    /// The best sequence, without prompt and end. Where the search is not over, what is open counts
    /// as it is.
    pub(super) fn finish(mut self) -> Vec<i64> {
        if !self.done {
            for Beam { tokens, score, .. } in std::mem::take(&mut self.open) {
                let score = self.final_score(score, tokens.len() - self.prompt);
                self.keep(Hypothesis { tokens, score });
            }
        }
        let best = self.finished.into_iter().next();
        best.map_or_else(Vec::new, |best| best.tokens[self.prompt..].to_vec())
    }

    fn final_score(&self, sum: f32, length: usize) -> f32 {
        sum / (length.max(1) as f32).powf(self.length_penalty)
    }

    /// Puts a hypothesis among the finished ones; of equal ones the one found earlier is better.
    fn keep(&mut self, hypothesis: Hypothesis) {
        let at = self.finished.partition_point(|other| other.score >= hypothesis.score);
        self.finished.insert(at, hypothesis);
        self.finished.truncate(self.num_beams);
    }
}

/// The `count` best continuations of all beams together, best first (ties: earlier beam, smaller
/// token).
fn best_continuations(
    open: &[Beam],
    log_probabilities: &[f32],
    vocabulary: usize,
    count: usize,
) -> Vec<Candidate> {
    let mut best: Vec<Candidate> = Vec::with_capacity(count + 1);
    let rows = log_probabilities.chunks_exact(vocabulary.max(1));
    for (beam, (sequence, row)) in open.iter().zip(rows).enumerate() {
        for (token, &log_probability) in row.iter().enumerate() {
            let score = sequence.score + log_probability;
            if best.len() == count && best.last().is_some_and(|worst| score <= worst.score) {
                continue;
            }
            let at = best.partition_point(|other| other.score.total_cmp(&score) != Ordering::Less);
            best.insert(at, Candidate { beam, token, score });
            best.truncate(count);
        }
    }
    best
}
