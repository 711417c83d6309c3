//! The distances of two vectors as the functions of SQL give them, for whoever has the vectors at hand.

use super::cosine_distance::CosineDistance;
use super::distance::Distance;
use super::inner_product::InnerProduct;
use super::l1_distance::L1Distance;
use super::l2_distance::L2Distance;

/// `left <=> right` of vectors of the same length; `None` where one of them is all zeros.
pub fn cosine_distance(left: &[f32], right: &[f32]) -> Option<f64> {
    Some(CosineDistance::between(left, right)).filter(|distance| !distance.is_nan())
}

/// `left <-> right` of vectors of the same length.
pub fn l2_distance(left: &[f32], right: &[f32]) -> f64 {
    L2Distance::between(left, right)
}

/// `left <+> right` of vectors of the same length.
pub fn l1_distance(left: &[f32], right: &[f32]) -> f64 {
    L1Distance::between(left, right)
}

/// `inner_product(left, right)` of vectors of the same length.
pub fn inner_product(left: &[f32], right: &[f32]) -> f64 {
    InnerProduct::between(left, right)
}
