//! What is done to the logits of a next token before one is chosen, as transformers' processors
//! and warpers do it. A row has one number for each token of the vocabulary.

use super::Sampling;

/// Turns logits into log-probabilities; `None` when there is NaN in them or nothing is possible.
pub(super) fn log_softmax(row: &mut [f32]) -> Option<()> {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|&logit| f64::from((logit - max).exp())).sum();
    if !sum.is_finite() || sum <= 0.0 {
        return None;
    }
    let log_sum = sum.ln() as f32;
    for logit in row {
        *logit = *logit - max - log_sum;
    }
    Some(())
}

/// Makes tokens that were said already less likely (Keskar et al., "CTRL", 2019): a positive score
/// is divided by the penalty, a negative one multiplied by it, once for each token.
pub(super) fn penalise_repetition(row: &mut [f32], said: &[i64], penalty: f32) {
    if penalty == 1.0 {
        return;
    }
    let mut tokens: Vec<usize> =
        said.iter().filter_map(|&token| usize::try_from(token).ok()).collect();
    tokens.sort_unstable();
    tokens.dedup();
    for token in tokens {
        if let Some(score) = row.get_mut(token) {
            *score = if *score < 0.0 { *score * penalty } else { *score / penalty };
        }
    }
}

/// Leaves the tokens that may be drawn; the others become impossible (`-inf`).
pub(super) fn warp(row: &mut [f32], sampling: &Sampling) {
    for score in row.iter_mut() {
        *score /= sampling.temperature;
    }
    if sampling.top_k > 0 && sampling.top_k < row.len() {
        let mut sorted = row.to_vec();
        let (_, least, _) =
            sorted.select_nth_unstable_by(sampling.top_k - 1, |a, b| b.total_cmp(a));
        let least = *least;
        row.iter_mut().filter(|score| **score < least).for_each(|score| *score = f32::NEG_INFINITY);
    }
    if sampling.top_p < 1.0 {
        keep_nucleus(row, sampling.top_p);
    }
}

/// The least likely tokens go, as long as together they have no more than `1 - top_p`; one stays.
fn keep_nucleus(row: &mut [f32], top_p: f32) {
    let mut probabilities = row.to_vec();
    if log_softmax(&mut probabilities).is_none() {
        return;
    }
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|&a, &b| row[a].total_cmp(&row[b]));
    order.pop();
    let mut sum = 0.0_f32;
    for token in order {
        sum += probabilities[token].exp();
        if sum > 1.0 - top_p {
            break;
        }
        row[token] = f32::NEG_INFINITY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: [f32; 6] = [1.0, 3.0, -0.5, 2.0, 0.0, 2.5];
    const GONE: f32 = f32::NEG_INFINITY;

    #[test]
    fn a_repeated_token_is_penalised_once_on_its_own_side_of_zero() {
        let mut row = ROW;
        penalise_repetition(&mut row, &[1, 2, 1, -4, 99], 2.0);
        assert_eq!(row, [1.0, 1.5, -1.0, 2.0, 0.0, 2.5]);
    }

    /// The numbers are those of transformers 4.44's TopKLogitsWarper and TopPLogitsWarper.
    #[test]
    fn top_k_and_top_p_leave_what_transformers_leaves() {
        let all = Sampling { top_k: 0, ..Sampling::default() };
        let mut row = ROW;
        warp(&mut row, &Sampling { temperature: 0.5, top_k: 3, ..all.clone() });
        assert_eq!(row, [GONE, 6.0, GONE, 4.0, GONE, 5.0]);
        let mut row = ROW;
        warp(&mut row, &Sampling { top_p: 0.8, ..all.clone() });
        assert_eq!(row, [GONE, 3.0, GONE, 2.0, GONE, 2.5]);
        let mut row = ROW;
        warp(&mut row, &Sampling { top_p: 0.7, ..all.clone() });
        assert_eq!(row, [GONE, 3.0, GONE, GONE, GONE, 2.5]);
        let mut row = ROW;
        warp(&mut row, &Sampling { top_p: 0.0, ..all });
        assert_eq!(row, [GONE, 3.0, GONE, GONE, GONE, GONE]);
    }

    #[test]
    fn log_probabilities_sum_to_one_and_nan_has_none() {
        let mut row = ROW;
        log_softmax(&mut row).unwrap();
        let sum: f32 = row.iter().map(|score| score.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-6);
        assert!(log_softmax(&mut [0.0, f32::NAN]).is_none());
        assert!(log_softmax(&mut [f32::INFINITY, 0.0]).is_none());
        assert!(log_softmax(&mut []).is_none());
    }
}
