//! How a caption is decoded: the options of Hugging Face transformers' `generate`, by its names.

use crate::ModelError;

/// How a caption is decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionOptions {
    /// Beams of the search; 1 is greedy. Sampling follows one sequence and does not look at it.
    pub num_beams: usize,
    /// Longest caption, in tokens with the start token.
    pub max_length: usize,
    /// The exponent of the length by which a finished beam's score is divided.
    pub length_penalty: f32,
    /// When a search over beams ends.
    pub early_stopping: EarlyStopping,
    /// How much less likely a token that was said already becomes; 1 is not at all.
    pub repetition_penalty: f32,
    /// Draws the tokens at random instead of searching for the likeliest (`do_sample`).
    pub sampling: Option<Sampling>,
}

/// When a search over beams ends, once there are as many finished sentences as beams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EarlyStopping {
    /// At once: `early_stopping=True`.
    AtOnce,
    /// When no open one is likely to become better: `early_stopping=False`.
    WhenNoBetter,
}

/// How tokens are drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Below 1 likely tokens become likelier, above 1 less so; more than 0.
    pub temperature: f32,
    /// Only so many of the likeliest tokens are drawn from; 0 is all.
    pub top_k: usize,
    /// Only the likeliest tokens that together have this probability are drawn from; in 0..=1.
    pub top_p: f32,
    /// Where the random numbers begin: the same seed, picture and options give the same caption.
    pub seed: u64,
}

impl Default for CaptionOptions {
    /// The guide's values: 5 beams, 50 tokens, no penalties, no sampling.
    fn default() -> Self {
        Self {
            num_beams: 5,
            max_length: 50,
            length_penalty: 1.0,
            early_stopping: EarlyStopping::AtOnce,
            repetition_penalty: 1.0,
            sampling: None,
        }
    }
}

impl Default for Sampling {
    /// transformers' values: temperature 1, the 50 likeliest tokens, all of their probability.
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 50, top_p: 1.0, seed: 0 }
    }
}

impl CaptionOptions {
    /// Refuses what means nothing.
    pub(super) fn check(&self) -> Result<(), ModelError> {
        let refuse = |what: String| Err(ModelError::BadOptions { detail: what });
        let positive = |value: f32| value.is_finite() && value > 0.0;
        if self.num_beams == 0 {
            return refuse("num_beams must be at least 1, got 0.".into());
        }
        if !self.length_penalty.is_finite() {
            let found = self.length_penalty;
            return refuse(format!("length_penalty must be a finite number, got {found}."));
        }
        if !positive(self.repetition_penalty) {
            let found = self.repetition_penalty;
            return refuse(format!("repetition_penalty must be more than 0, got {found}."));
        }
        if let Some(Sampling { temperature, top_p, .. }) = self.sampling {
            if !positive(temperature) {
                return refuse(format!("temperature must be more than 0, got {temperature}."));
            }
            if !(0.0..=1.0).contains(&top_p) {
                return refuse(format!("top_p must be in 0..=1, got {top_p}."));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_nothing_is_refused() {
        let default = CaptionOptions::default;
        let sampling = |sampling| CaptionOptions { sampling: Some(sampling), ..default() };
        assert!(default().check().is_ok());
        assert!(sampling(Sampling::default()).check().is_ok());
        for (options, word) in [
            (CaptionOptions { num_beams: 0, ..default() }, "num_beams"),
            (CaptionOptions { length_penalty: f32::NAN, ..default() }, "length_penalty"),
            (CaptionOptions { repetition_penalty: 0.0, ..default() }, "repetition_penalty"),
            (sampling(Sampling { temperature: 0.0, ..Sampling::default() }), "temperature"),
            (sampling(Sampling { top_p: 1.5, ..Sampling::default() }), "top_p"),
            (sampling(Sampling { top_p: f32::NAN, ..Sampling::default() }), "top_p"),
        ] {
            let error = options.check().unwrap_err();
            assert_eq!(error.sqlstate(), "22023");
            assert!(error.detail().is_some_and(|detail| detail.contains(word)), "{error:?}");
        }
    }
}
