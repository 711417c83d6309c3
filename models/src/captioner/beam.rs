//! Beam search: a function from token sequences to next-token logits goes in, the best sequence
//! comes out. Nothing is random.
//!
//! The search is the one of Hugging Face transformers' `generate` with `early_stopping=True`: of
//! each step's 2 × beams best continuations those that end within the first beams are finished
//! hypotheses, the best others go on, and the search ends when as many hypotheses as beams are
//! there. A hypothesis' score is its summed log-probability over its length (without the start
//! token, with the end token) to the power of the length penalty. One beam is greedy search.

use std::cmp::Ordering;

use crate::ModelError;

/// What the search needs to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    /// The token that each sequence starts with.
    pub(super) start: i64,
    /// The token that ends a sequence; it is not in the answer.
    pub(super) end: i64,
    /// Sequences that are followed at once, at least 1.
    pub(super) num_beams: usize,
    /// Longest sequence, with the start token.
    pub(super) max_length: usize,
    /// Exponent of the length.
    pub(super) length_penalty: f32,
}

/// A sequence with its score: the sum of log-probabilities while it is open, that over its length
/// once it is finished.
#[derive(Clone, Debug)]
struct Beam {
    tokens: Vec<i64>,
    score: f32,
}

/// A continuation of a beam by one token.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    beam: usize,
    token: usize,
    score: f32,
}

impl Search {
    /// The tokens of the best sequence, without start and end.
    ///
    /// `step` is given open sequences of one length and writes, for each, the logits of its next
    /// token into the buffer, one row of the same length after the other. `name` is the model's,
    /// for errors.
    ///
    /// # Errors
    /// What `step` says, and [`ModelError::Run`] when the logits have NaN in them.
    pub(super) fn run(
        &self,
        name: &str,
        mut step: impl FnMut(&[&[i64]], &mut Vec<f32>) -> Result<(), ModelError>,
    ) -> Result<Vec<i64>, ModelError> {
        let num_beams = self.num_beams.max(1);
        // All beams would start alike; as long as there is one, it is followed once.
        let mut open = vec![Beam { tokens: vec![self.start], score: 0.0 }];
        let mut finished: Vec<Beam> = Vec::new();
        let mut logits = Vec::new();
        for length in 1..self.max_length {
            let sequences: Vec<&[i64]> = open.iter().map(|beam| &beam.tokens[..]).collect();
            logits.clear();
            step(&sequences, &mut logits)?;
            let vocabulary = logits.len() / open.len();
            let best =
                best_continuations(&open, &logits, vocabulary, 2 * num_beams).ok_or_else(|| {
                    ModelError::Run {
                        name: name.into(),
                        detail: "the logits have NaN in them".into(),
                    }
                })?;
            let mut next = Vec::with_capacity(num_beams);
            for (rank, candidate) in best.iter().enumerate() {
                let tokens = &open[candidate.beam].tokens;
                if candidate.token as i64 != self.end {
                    let mut tokens = tokens.clone();
                    tokens.push(candidate.token as i64);
                    next.push(Beam { tokens, score: candidate.score });
                } else if rank < num_beams {
                    let score = self.final_score(candidate.score, length);
                    finish(&mut finished, num_beams, Beam { tokens: tokens.clone(), score });
                }
                if next.len() == num_beams {
                    break;
                }
            }
            open = next;
            if finished.len() >= num_beams || open.is_empty() {
                break;
            }
        }
        if finished.len() < num_beams {
            for Beam { tokens, score } in open {
                let score = self.final_score(score, tokens.len() - 1);
                finish(&mut finished, num_beams, Beam { tokens, score });
            }
        }
        Ok(finished.into_iter().next().map_or_else(Vec::new, |best| best.tokens[1..].to_vec()))
    }

    fn final_score(&self, sum: f32, length: usize) -> f32 {
        sum / (length.max(1) as f32).powf(self.length_penalty)
    }
}

/// Puts a hypothesis among the finished ones, which are sorted, best first; of equal ones the one
/// found earlier is better. At most `limit` are kept.
fn finish(finished: &mut Vec<Beam>, limit: usize, hypothesis: Beam) {
    let at = finished.partition_point(|other| other.score >= hypothesis.score);
    finished.insert(at, hypothesis);
    finished.truncate(limit);
}

/// The `count` best continuations of all beams together, best first (ties: earlier beam, smaller
/// token); `None` when a logit is no number.
fn best_continuations(
    open: &[Beam],
    logits: &[f32],
    vocabulary: usize,
    count: usize,
) -> Option<Vec<Candidate>> {
    let mut best: Vec<Candidate> = Vec::with_capacity(count + 1);
    if vocabulary == 0 {
        return Some(best);
    }
    for (beam, (sequence, row)) in open.iter().zip(logits.chunks_exact(vocabulary)).enumerate() {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = row.iter().map(|&logit| f64::from((logit - max).exp())).sum();
        if !sum.is_finite() {
            return None;
        }
        let log_sum = sum.ln() as f32;
        for (token, &logit) in row.iter().enumerate() {
            let score = sequence.score + (logit - max - log_sum);
            if best.len() == count && best.last().is_some_and(|worst| score <= worst.score) {
                continue;
            }
            let at = best.partition_point(|other| other.score.total_cmp(&score) != Ordering::Less);
            best.insert(at, Candidate { beam, token, score });
            best.truncate(count);
        }
    }
    Some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: i64 = 3;

    fn search(num_beams: usize, max_length: usize) -> Search {
        Search { start: 0, end: END, num_beams, max_length, length_penalty: 1.0 }
    }

    /// A model that knows the probabilities of next tokens after some sequences; anything else
    /// ends at once.
    fn table(
        known: &[(&[i64], [f32; 4])],
    ) -> impl FnMut(&[&[i64]], &mut Vec<f32>) -> Result<(), ModelError> {
        let known: Vec<(Vec<i64>, [f32; 4])> =
            known.iter().map(|(tokens, row)| (tokens.to_vec(), *row)).collect();
        move |sequences, logits| {
            for sequence in sequences {
                let row = known.iter().find(|(tokens, _)| tokens == sequence);
                let row = row.map_or([1e-6, 1e-6, 1e-6, 1.0], |(_, row)| *row);
                logits.extend(row.map(f32::ln));
            }
            Ok(())
        }
    }

    #[test]
    fn greedy_takes_the_likeliest_token_and_beams_the_likeliest_sentence() {
        let known: &[(&[i64], [f32; 4])] = &[
            (&[0], [1e-6, 0.6, 0.4, 1e-6]),
            // After 1 nothing is likely, after 2 the end is.
            (&[0, 1], [0.3, 0.3, 0.3, 0.1]),
            (&[0, 2], [1e-6, 1e-6, 1e-6, 1.0]),
        ];
        let greedy = search(1, 3).run("m", table(known)).unwrap();
        assert_eq!(greedy[0], 1);
        assert_eq!(search(2, 5).run("m", table(known)).unwrap(), [2]);
    }

    #[test]
    fn the_longest_sequence_has_max_length_tokens() {
        let forever = |sequences: &[&[i64]], logits: &mut Vec<f32>| {
            for _ in sequences {
                logits.extend([0.0, 5.0, 0.0, -50.0]);
            }
            Ok(())
        };
        assert_eq!(search(1, 4).run("m", forever).unwrap(), [1, 1, 1]);
        assert_eq!(search(3, 4).run("m", forever).unwrap(), [1, 1, 1]);
        assert!(search(3, 1).run("m", forever).unwrap().is_empty());
    }

    #[test]
    fn the_length_penalty_weighs_long_sentences() {
        // Short: ln .45 over 1 token. Long: ln .55 + ln .5 + ln .9 over 3 tokens.
        let known: &[(&[i64], [f32; 4])] = &[
            (&[0], [1e-6, 0.55, 1e-6, 0.45]),
            (&[0, 1], [0.2, 0.2, 0.5, 0.1]),
            (&[0, 1, 2], [1e-6, 1e-6, 0.1, 0.9]),
        ];
        let long = search(2, 6).run("m", table(known)).unwrap();
        assert_eq!(long, [1, 2]);
        let plain = Search { length_penalty: 0.0, ..search(2, 6) };
        assert!(plain.run("m", table(known)).unwrap().is_empty(), "the short one is likelier");
    }

    #[test]
    fn logits_that_are_no_numbers_are_refused() {
        let result = search(2, 4).run("m", |_, logits| {
            logits.extend([0.0, f32::NAN, 0.0, 0.0]);
            Ok(())
        });
        assert!(matches!(result, Err(ModelError::Run { .. })), "{result:?}");
    }
}
