//! Sampling one caption: each next token is drawn by its probability, from a seed.
//!
//! The generator is ChaCha with 8 rounds, whose numbers are the same on every machine and in every
//! version; they are not torch's, so a seed does not give transformers' own draw.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::decode::Ends;
use super::logits::{log_softmax, penalise_repetition, warp};
use super::{CaptionOptions, Sampling};

/// One sequence that grows by draws.
pub(super) struct Sampler {
    prompt: usize,
    end: i64,
    repetition_penalty: f32,
    sampling: Sampling,
    random: ChaCha8Rng,
    tokens: Vec<i64>,
    done: bool,
}

impl Sampler {
    pub(super) fn new(ends: &Ends, options: &CaptionOptions, sampling: &Sampling) -> Self {
        Self {
            prompt: ends.prompt.len(),
            end: ends.end,
            repetition_penalty: options.repetition_penalty,
            sampling: sampling.clone(),
            random: ChaCha8Rng::seed_from_u64(sampling.seed),
            tokens: ends.prompt.clone(),
            done: false,
        }
    }

    /// The sequence so far, unless it has ended.
    pub(super) fn open(&self) -> Option<&[i64]> {
        (!self.done).then_some(&self.tokens)
    }

    /// Draws the next token from its logits; `None` when they have NaN in them.
    pub(super) fn advance(&mut self, row: &mut [f32]) -> Option<()> {
        if row.iter().any(|logit| logit.is_nan()) {
            return None;
        }
        penalise_repetition(row, &self.tokens, self.repetition_penalty);
        warp(row, &self.sampling);
        log_softmax(row)?;
        let token = draw(row, self.random.next_u64()) as i64;
        if token == self.end {
            self.done = true;
        } else {
            self.tokens.push(token);
        }
        Some(())
    }

    /// The sequence without prompt and end.
    pub(super) fn finish(mut self) -> Vec<i64> {
        self.tokens.split_off(self.prompt)
    }
}

/// The place that a random number falls on, each place as wide as its probability.
fn draw(log_probabilities: &[f32], random: u64) -> usize {
    // The upper 53 bits are a number in 0..1 as exact as a double can be.
    let mut left = (random >> 11) as f64 / (1_u64 << 53) as f64;
    let mut last = 0;
    for (place, &log_probability) in log_probabilities.iter().enumerate() {
        if log_probability == f32::NEG_INFINITY {
            continue;
        }
        last = place;
        left -= f64::from(log_probability.exp());
        if left < 0.0 {
            break;
        }
    }
    // Rounding may leave a little behind the last one.
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_fall_as_often_as_they_are_likely_and_never_on_the_impossible() {
        let row = [0.1_f32, 0.0, 0.6, 0.3].map(f32::ln);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut counts = [0_i32; 4];
        for _ in 0..20_000 {
            counts[draw(&row, random.next_u64())] += 1;
        }
        assert_eq!(counts[1], 0);
        for (count, expected) in counts.iter().zip([2000, 0, 12_000, 6000]) {
            assert!((count - expected).abs() < 300, "{counts:?}");
        }
        assert_eq!(draw(&row, u64::MAX), 3);
        assert_eq!(draw(&row, 0), 0);
    }
}
