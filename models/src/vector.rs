//! Vectors of numbers: their direction.

/// The vector scaled to length 1; `None` when it has no direction: it is empty or zero, or has
/// NaN or infinity in it.
pub(crate) fn direction(vector: &[f32]) -> Option<Vec<f32>> {
    let norm = vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    if !norm.is_finite() || norm == 0.0 {
        return None;
    }
    Some(vector.iter().map(|&value| (f64::from(value) / norm) as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_has_length_one() {
        let scaled = direction(&[3.0, 4.0]).unwrap();
        assert!((scaled[0] - 0.6).abs() < 1e-6 && (scaled[1] - 0.8).abs() < 1e-6);
    }

    #[test]
    fn what_has_no_direction_has_none() {
        assert!(direction(&[0.0, 0.0]).is_none());
        assert!(direction(&[1.0, f32::NAN]).is_none());
        assert!(direction(&[f32::INFINITY, 1.0]).is_none());
        assert!(direction(&[]).is_none());
    }
}
