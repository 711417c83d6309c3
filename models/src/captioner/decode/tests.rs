//! The searches over tables of probabilities instead of a network.

use super::super::{EarlyStopping, Sampling};
use super::*;

const END: i64 = 3;

fn options(num_beams: usize, max_length: usize) -> CaptionOptions {
    CaptionOptions { num_beams, max_length, ..CaptionOptions::default() }
}

fn ends() -> Ends {
    Ends { prompt: vec![0], end: END }
}

/// A model that knows the probabilities of next tokens after some sequences; after any other it
/// ends.
#[derive(Default)]
struct Table {
    known: Vec<(Vec<i64>, [f32; 4])>,
    /// The tokens of the rows of the step before.
    before: Vec<Vec<i64>>,
}

impl Table {
    fn new(known: &[(&[i64], [f32; 4])]) -> Self {
        let known = known.iter().map(|(tokens, row)| (tokens.to_vec(), *row)).collect();
        Self { known, before: Vec::new() }
    }
}

impl Decoder for Table {
    fn name(&self) -> &str {
        "table"
    }

    fn step(&mut self, rows: &[Row<'_>], logits: &mut Vec<f32>) -> Result<(), ModelError> {
        for (at, row) in rows.iter().enumerate() {
            if self.before.is_empty() {
                assert_eq!(row.parent, at);
            } else {
                assert_eq!(self.before[row.parent], row.tokens[..row.tokens.len() - 1]);
            }
            let found = self.known.iter().find(|(tokens, _)| tokens == row.tokens);
            let found = found.map_or([1e-6, 1e-6, 1e-6, 1.0], |(_, row)| *row);
            logits.extend(found.map(f32::ln));
        }
        assert!(rows.is_sorted_by_key(|row| row.picture));
        self.before = rows.iter().map(|row| row.tokens.to_vec()).collect();
        Ok(())
    }
}

fn run(known: &[(&[i64], [f32; 4])], options: &CaptionOptions) -> Vec<i64> {
    decode(&mut Table::new(known), 1, &ends(), options).unwrap().remove(0)
}

/// Always the same logits.
struct Constant([f32; 4]);

impl Decoder for Constant {
    fn name(&self) -> &str {
        "constant"
    }

    fn step(&mut self, rows: &[Row<'_>], logits: &mut Vec<f32>) -> Result<(), ModelError> {
        rows.iter().for_each(|_| logits.extend(self.0));
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
    assert_eq!(run(known, &options(1, 3))[0], 1);
    assert_eq!(run(known, &options(2, 5)), [2]);
}

#[test]
fn the_longest_sequence_has_max_length_tokens() {
    let forever = [0.0, 5.0, 0.0, -50.0];
    let run = |num_beams, max_length| {
        let options = options(num_beams, max_length);
        decode(&mut Constant(forever), 2, &ends(), &options).unwrap()
    };
    assert_eq!(run(1, 4), [[1, 1, 1], [1, 1, 1]]);
    assert_eq!(run(3, 4), [[1, 1, 1], [1, 1, 1]]);
    assert_eq!(run(3, 1), [[], []] as [[i64; 0]; 2]);
}

#[test]
fn the_length_penalty_weighs_long_sentences() {
    // Short: ln .45 over 1 token. Long: ln .55 + ln .5 + ln .9 over 3 tokens.
    let known: &[(&[i64], [f32; 4])] = &[
        (&[0], [1e-6, 0.55, 1e-6, 0.45]),
        (&[0, 1], [0.2, 0.2, 0.5, 0.1]),
        (&[0, 1, 2], [1e-6, 1e-6, 0.1, 0.9]),
    ];
    assert_eq!(run(known, &options(2, 6)), [1, 2]);
    let plain = CaptionOptions { length_penalty: 0.0, ..options(2, 6) };
    assert!(run(known, &plain).is_empty(), "the short one is likelier");
}

#[test]
fn a_search_that_is_not_stopped_early_goes_on_while_it_can_get_better() {
    // Both beams have finished something after two steps; what is open then is better still.
    let known: &[(&[i64], [f32; 4])] = &[
        (&[0], [0.2, 0.4, 0.05, 0.35]),
        (&[0, 1], [0.05, 0.5, 0.05, 0.4]),
        (&[0, 0], [0.2, 0.2, 0.2, 0.4]),
        (&[0, 1, 1], [0.01, 0.01, 0.01, 0.97]),
    ];
    let at_once = options(2, 8);
    let patient = CaptionOptions { early_stopping: EarlyStopping::WhenNoBetter, ..at_once.clone() };
    assert_eq!(run(known, &at_once), [1]);
    assert_eq!(run(known, &patient), [1, 1]);
}

#[test]
fn what_was_said_is_said_again_less_often() {
    let forever = [0.5, 2.0, 1.5, -50.0];
    let said = |penalty| {
        let options = CaptionOptions { repetition_penalty: penalty, ..options(1, 4) };
        decode(&mut Constant(forever), 1, &ends(), &options).unwrap().remove(0)
    };
    assert_eq!(said(1.0), [1, 1, 1]);
    assert_eq!(said(2.0), [1, 2, 1]);
}

#[test]
fn pictures_end_at_their_own_length() {
    /// Picture 1 ends after one token, the others after three.
    struct Uneven(Vec<usize>);
    impl Decoder for Uneven {
        fn name(&self) -> &str {
            "uneven"
        }
        fn step(&mut self, rows: &[Row<'_>], logits: &mut Vec<f32>) -> Result<(), ModelError> {
            self.0.push(rows.len());
            for row in rows {
                let last = if row.picture == 1 { 2 } else { 4 };
                let ends = row.tokens.len() >= last;
                logits.extend(if ends { [0.0, 0.0, 0.0, 30.0] } else { [0.0, 30.0, 0.0, 0.0] });
            }
            Ok(())
        }
    }
    let mut decoder = Uneven(Vec::new());
    let said = decode(&mut decoder, 3, &ends(), &options(1, 9)).unwrap();
    assert_eq!(said, [vec![1, 1, 1], vec![1], vec![1, 1, 1]]);
    assert_eq!(decoder.0, [3, 3, 2, 2]);
}

#[test]
fn a_seed_says_the_same_again_and_another_says_something_else() {
    let draw = |seed| {
        let sampling = Some(Sampling { seed, ..Sampling::default() });
        let options = CaptionOptions { sampling, ..options(5, 30) };
        decode(&mut Constant([0.3, 0.2, 0.1, -2.0]), 2, &ends(), &options).unwrap()
    };
    let first = draw(1);
    assert_eq!(first, draw(1));
    assert_eq!(first[0], first[1], "a picture's caption does not hang on its neighbours");
    assert_ne!(first, draw(2));
    let certain = Sampling { top_k: 1, ..Sampling::default() };
    let options = CaptionOptions { sampling: Some(certain), ..options(5, 4) };
    let said = decode(&mut Constant([0.3, 0.4, 0.1, -2.0]), 1, &ends(), &options).unwrap();
    assert_eq!(said, [[1, 1, 1]]);
}

#[test]
fn logits_that_are_no_numbers_are_refused() {
    let sampling = CaptionOptions { sampling: Some(Sampling::default()), ..options(1, 4) };
    for options in [options(1, 4), options(2, 4), sampling] {
        let mut decoder = Constant([0.0, f32::NAN, 0.0, 0.0]);
        let result = decode(&mut decoder, 1, &ends(), &options);
        assert!(matches!(result, Err(ModelError::Run { .. })), "{result:?}");
    }
}
