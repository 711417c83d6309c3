//! Distances between a query of `f32` and a stored vector: sums over pairs of elements, compiled
//! for the vector instructions of the processor that runs them.
//!
//! Sums are kept in `f32`: they rank candidates. What a client sees is computed again in `f64`
//! from the table's own values.

use std::sync::LazyLock;

use vigil_udfs::exact;

/// An element of a stored vector.
pub trait Stored: Copy {
    /// Whether its value is a count of steps, whose size is the scale of its vector.
    const IS_STEPS: bool = false;

    /// Its value.
    fn widen(self) -> f32;
}

impl Stored for f32 {
    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }
}

/// Half precision, IEEE 754 binary16, as its bits; never infinite and never NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Half(pub u16);

/// 2¹¹²: moves the exponent of a half, read as that of a float, to where a float has it.
const HALF_SCALE: f32 = f32::from_bits(0x7780_0000);

impl Stored for Half {
    #[inline(always)]
    fn widen(self) -> f32 {
        let magnitude = f32::from_bits(u32::from(self.0 & 0x7fff) << 13) * HALF_SCALE;
        f32::from_bits(magnitude.to_bits() | (u32::from(self.0 & 0x8000) << 16))
    }
}

impl Half {
    /// The nearest half; a value out of its range becomes the greatest or the least one.
    pub fn nearest(value: f32) -> Self {
        let sign = ((value.to_bits() >> 16) & 0x8000) as u16;
        let magnitude = value.abs().min(65_504.0) / HALF_SCALE;
        let bits = magnitude.to_bits();
        // Round to nearest, ties to even, on the thirteen bits that fall away.
        let rounded = (bits + 0x0fff + ((bits >> 13) & 1)) >> 13;
        Self(sign | u16::try_from(rounded).unwrap_or(0x7bff))
    }
}

impl Stored for i8 {
    const IS_STEPS: bool = true;

    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from(self)
    }
}

/// One step of a sum over pairs of elements.
trait Step {
    /// Whether the sum grows as the stored vector does, so that a scale can wait for the end.
    const IS_LINEAR: bool = false;

    /// `sum` and the term of the pair; `FUSED` where the processor multiplies and adds in one.
    fn add<const FUSED: bool>(sum: f32, left: f32, right: f32) -> f32;
}

#[inline(always)]
fn multiply_add<const FUSED: bool>(left: f32, right: f32, sum: f32) -> f32 {
    // Without the instruction `mul_add` would be a call of the C library.
    if FUSED { left.mul_add(right, sum) } else { left * right + sum }
}

/// `Σ a·b`.
struct Products;
/// `Σ (a − b)²`.
struct Squares;
/// `Σ |a − b|`.
struct Differences;

impl Step for Products {
    const IS_LINEAR: bool = true;

    #[inline(always)]
    fn add<const FUSED: bool>(sum: f32, left: f32, right: f32) -> f32 {
        multiply_add::<FUSED>(left, right, sum)
    }
}

impl Step for Squares {
    #[inline(always)]
    fn add<const FUSED: bool>(sum: f32, left: f32, right: f32) -> f32 {
        let difference = left - right;
        multiply_add::<FUSED>(difference, difference, sum)
    }
}

impl Step for Differences {
    #[inline(always)]
    fn add<const FUSED: bool>(sum: f32, left: f32, right: f32) -> f32 {
        sum + (left - right).abs()
    }
}

/// Sums that run side by side, so that the compiler may use wide registers.
const LANES: usize = 64;

#[inline(always)]
fn fold<S: Step, T: Stored, const FUSED: bool>(query: &[f32], stored: &[T], scale: f32) -> f32 {
    let value = |stored: T| {
        let value = stored.widen();
        if T::IS_STEPS && !S::IS_LINEAR { value * scale } else { value }
    };
    let mut lanes = [0.0_f32; LANES];
    let (query_chunks, query_rest) = query.as_chunks::<LANES>();
    let (stored_chunks, stored_rest) = stored.as_chunks::<LANES>();
    for (left, right) in query_chunks.iter().zip(stored_chunks) {
        for lane in 0..LANES {
            lanes[lane] = S::add::<FUSED>(lanes[lane], left[lane], value(right[lane]));
        }
    }
    for (lane, (left, right)) in query_rest.iter().zip(stored_rest).enumerate() {
        lanes[lane] = S::add::<FUSED>(lanes[lane], *left, value(*right));
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    if S::IS_LINEAR { lanes[0] * scale } else { lanes[0] }
}

/// `Σ a·b` of eight-bit elements: exact, as 2¹⁷ products of at most 127² fit.
#[inline(always)]
fn fold_steps(left: &[i8], right: &[i8]) -> i32 {
    left.iter().zip(right).map(|(left, right)| i32::from(*left) * i32::from(*right)).sum()
}

/// Sums of each kind in [`fold_both`]: half as many, so that both fit the registers.
const LANES_OF_BOTH: usize = 32;

/// `Σ a·b` and `Σ b²` in one pass.
#[inline(always)]
fn fold_both<const FUSED: bool>(query: &[f32], stored: &[f32]) -> (f32, f32) {
    let mut products = [0.0_f32; LANES_OF_BOTH];
    let mut squares = [0.0_f32; LANES_OF_BOTH];
    let (query_chunks, query_rest) = query.as_chunks::<LANES_OF_BOTH>();
    let (stored_chunks, stored_rest) = stored.as_chunks::<LANES_OF_BOTH>();
    for (left, right) in query_chunks.iter().zip(stored_chunks) {
        for lane in 0..LANES_OF_BOTH {
            products[lane] = multiply_add::<FUSED>(left[lane], right[lane], products[lane]);
            squares[lane] = multiply_add::<FUSED>(right[lane], right[lane], squares[lane]);
        }
    }
    for (lane, (left, right)) in query_rest.iter().zip(stored_rest).enumerate() {
        products[lane] = multiply_add::<FUSED>(*left, *right, products[lane]);
        squares[lane] = multiply_add::<FUSED>(*right, *right, squares[lane]);
    }
    let mut width = LANES_OF_BOTH / 2;
    while width > 0 {
        for lane in 0..width {
            products[lane] += products[lane + width];
            squares[lane] += squares[lane + width];
        }
        width /= 2;
    }
    (products[0], squares[0])
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use super::{Step, Stored, fold, fold_both, fold_steps};

    /// The instruction multiplies unsigned bytes with signed ones. So 128 is added to the left ones,
    /// which a flipped sign does, and 128 times the right ones is taken off again.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) fn vnni_steps(left: &[i8], right: &[i8]) -> i32 {
        use std::arch::x86_64::{
            __m512i, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_maskz_loadu_epi8,
            _mm512_reduce_add_epi32, _mm512_set1_epi8, _mm512_setzero_si512, _mm512_sub_epi32,
            _mm512_xor_si512,
        };
        const BYTES: usize = 64;
        let length = left.len().min(right.len());
        let flip = _mm512_set1_epi8(i8::MIN);
        let mut products = _mm512_setzero_si512();
        let mut excess = _mm512_setzero_si512();
        let mut add = |left: __m512i, right: __m512i| {
            products = _mm512_dpbusd_epi32(products, _mm512_xor_si512(left, flip), right);
            excess = _mm512_dpbusd_epi32(excess, flip, right);
        };
        let mut at = 0;
        while at + BYTES <= length {
            // SAFETY: 64 bytes from `at` on are within both slices.
            let (left, right) = unsafe {
                (
                    _mm512_loadu_si512(left.as_ptr().add(at).cast()),
                    _mm512_loadu_si512(right.as_ptr().add(at).cast()),
                )
            };
            add(left, right);
            at += BYTES;
        }
        if at < length {
            let mask = (1_u64 << (length - at)) - 1;
            // SAFETY: bytes that the mask leaves out are not read, and the others are within both
            // slices.
            let (left, right) = unsafe {
                (
                    _mm512_maskz_loadu_epi8(mask, left.as_ptr().add(at)),
                    _mm512_maskz_loadu_epi8(mask, right.as_ptr().add(at)),
                )
            };
            add(left, right);
        }
        _mm512_reduce_add_epi32(_mm512_sub_epi32(products, excess))
    }

    /// The instruction multiplies unsigned bytes with signed ones and adds two products each, in sixteen bits. So
    /// the signs of the left bytes go to the right ones. No sum is cut off and no sign is lost where no byte is -128,
    /// which no step is.
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2_steps(left: &[i8], right: &[i8]) -> i32 {
        use std::arch::x86_64::{
            __m256i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_shuffle_epi32, _mm256_abs_epi8,
            _mm256_add_epi32, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_loadu_si256,
            _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi16, _mm256_setzero_si256,
            _mm256_sign_epi8,
        };
        debug_assert_eq!(left.len(), right.len());
        let (left_chunks, left_rest) = left.as_chunks::<32>();
        let (right_chunks, right_rest) = right.as_chunks::<32>();
        let mut sum = _mm256_setzero_si256();
        for (left, right) in left_chunks.iter().zip(right_chunks) {
            // SAFETY: each is 32 bytes.
            let (left, right) = unsafe {
                (
                    _mm256_loadu_si256(left.as_ptr().cast::<__m256i>()),
                    _mm256_loadu_si256(right.as_ptr().cast::<__m256i>()),
                )
            };
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(left), _mm256_sign_epi8(right, left));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
        }
        let half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let half = _mm_add_epi32(half, _mm_shuffle_epi32::<0b01_00_11_10>(half));
        let half = _mm_add_epi32(half, _mm_shuffle_epi32::<0b10_11_00_01>(half));
        _mm_cvtsi128_si32(half) + fold_steps(left_rest, right_rest)
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2_both(query: &[f32], stored: &[f32]) -> (f32, f32) {
        fold_both::<true>(query, stored)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
    pub(super) fn avx512_both(query: &[f32], stored: &[f32]) -> (f32, f32) {
        fold_both::<true>(query, stored)
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2<S: Step, T: Stored>(query: &[f32], stored: &[T], scale: f32) -> f32 {
        fold::<S, T, true>(query, stored, scale)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
    pub(super) fn avx512<S: Step, T: Stored>(query: &[f32], stored: &[T], scale: f32) -> f32 {
        fold::<S, T, true>(query, stored, scale)
    }
}

/// The instructions that sums are compiled for.
#[derive(Clone, Copy)]
enum Width {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The widest ones that this processor has.
static WIDTH: LazyLock<Width> = LazyLock::new(|| {
    #[cfg(target_arch = "x86_64")]
    {
        let fused = is_x86_feature_detected!("fma") && is_x86_feature_detected!("avx2");
        let wide = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl");
        match (fused, wide) {
            (true, true) => return Width::Avx512,
            (true, false) => return Width::Avx2,
            (false, _) => {}
        }
    }
    Width::Plain
});

#[inline]
fn sum<S: Step, T: Stored>(query: &[f32], stored: &[T], scale: f32) -> f32 {
    match *WIDTH {
        Width::Plain => fold::<S, T, false>(query, stored, scale),
        // SAFETY: the processor has the instructions, as was asked when the width was chosen.
        #[cfg(target_arch = "x86_64")]
        Width::Avx2 => unsafe { wide::avx2::<S, T>(query, stored, scale) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Width::Avx512 => unsafe { wide::avx512::<S, T>(query, stored, scale) },
    }
}

/// Whether the processor sums products of bytes by itself.
#[cfg(target_arch = "x86_64")]
static HAS_VNNI: LazyLock<bool> = LazyLock::new(|| {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vnni")
});

#[inline]
fn sum_of_steps(left: &[i8], right: &[i8]) -> i32 {
    #[cfg(target_arch = "x86_64")]
    if *HAS_VNNI {
        // SAFETY: the processor has the instructions, as was just asked.
        return unsafe { wide::vnni_steps(left, right) };
    }
    match *WIDTH {
        Width::Plain => fold_steps(left, right),
        // SAFETY: the processor has the instructions, as was asked when the width was chosen.
        #[cfg(target_arch = "x86_64")]
        Width::Avx2 | Width::Avx512 => unsafe { wide::avx2_steps(left, right) },
    }
}

/// The inner product of `query` and `stored`, and the square of the length of `stored`.
#[inline]
pub(super) fn product_and_square(query: &[f32], stored: &[f32]) -> (f32, f32) {
    match *WIDTH {
        Width::Plain => fold_both::<false>(query, stored),
        // SAFETY: the processor has the instructions, as was asked when the width was chosen.
        #[cfg(target_arch = "x86_64")]
        Width::Avx2 => unsafe { wide::avx2_both(query, stored) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Width::Avx512 => unsafe { wide::avx512_both(query, stored) },
    }
}

/// How far two vectors are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// One minus the cosine, of vectors that have been normalised before.
    Cosine,
    /// The square of the Euclidean distance, which ranks as the distance does.
    L2,
    /// The negative inner product.
    InnerProduct,
    /// The sum of absolute differences.
    L1,
}

impl Metric {
    /// The number that SQL's function gives and `ORDER BY` sorts by, nearest first; `None` where it gives NULL.
    pub fn exact(self, query: &[f32], vector: &[f32]) -> Option<f64> {
        match self {
            Self::Cosine => exact::cosine_distance(query, vector),
            Self::InnerProduct => Some(-exact::inner_product(query, vector)),
            Self::L2 => Some(exact::l2_distance(query, vector)),
            Self::L1 => Some(exact::l1_distance(query, vector)),
        }
    }

    /// The distance of `query` and `stored`. A step of an `i8` is `scale`; other elements count as
    /// they are, and only products with them may have a scale beside 1.
    #[inline]
    pub fn distance<T: Stored>(self, query: &[f32], stored: &[T], scale: f32) -> f32 {
        match self {
            Self::Cosine => 1.0 - sum::<Products, T>(query, stored, scale),
            Self::InnerProduct => -sum::<Products, T>(query, stored, scale),
            Self::L2 => sum::<Squares, T>(query, stored, scale),
            Self::L1 => sum::<Differences, T>(query, stored, scale),
        }
    }

    /// The distance of two vectors of eight-bit elements, by their product; `scale` is what a step of
    /// the one times a step of the other counts.
    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "steps are not exact either")]
    pub(super) fn distance_of_steps(self, left: &[i8], right: &[i8], scale: f32) -> f32 {
        let product = sum_of_steps(left, right) as f32 * scale;
        if self == Self::Cosine { 1.0 - product } else { -product }
    }
}

/// Asks the memory for the beginning of a vector that is read soon; the processor asks for what
/// follows by itself.
#[inline]
pub fn prefetch<T>(stored: &[T]) {
    prefetch_lines(stored, 8);
}

/// Asks the memory for a vector that is read soon, which may lie on another page than what is read
/// now: there the processor does not look ahead by itself.
#[inline]
pub fn prefetch_whole<T>(stored: &[T]) {
    prefetch_lines(stored, 64);
}

#[inline(always)]
fn prefetch_lines<T>(stored: &[T], most: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        const LINE: usize = 64;
        let all = std::mem::size_of_val(stored);
        let bytes = all.min(most * LINE);
        let start = stored.as_ptr().cast::<i8>();
        let mut offset = 0;
        while offset < bytes {
            // SAFETY: the address is within `stored`, and a prefetch reads nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(offset)) };
            offset += LINE;
        }
        // The last byte may lie on a line of its own.
        if let Some(last) = all.checked_sub(1) {
            // SAFETY: as above.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(last)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (stored, most);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_the_nearest_ones() {
        for (value, bits) in [
            (0.0, 0x0000),
            (1.0, 0x3c00),
            (-2.0, 0xc000),
            (65_504.0, 0x7bff),
            (1e9, 0x7bff),
            (5.960_464_5e-8, 0x0001),
            (0.333_333_34, 0x3555),
        ] {
            assert_eq!(Half::nearest(value), Half(bits), "{value}");
        }
        for bits in (0..0x7c00).chain(0x8000..0xfc00) {
            let value = Half(bits).widen();
            assert_eq!(Half::nearest(value), Half(bits), "{value}");
        }
    }

    #[test]
    fn wide_sums_are_the_plain_ones() {
        let left: Vec<f32> = (0..391_u16).map(|n| (f32::from(n) * 0.7).sin()).collect();
        let right: Vec<f32> = (0..391_u16).map(|n| (f32::from(n) * 0.3).cos()).collect();
        let pairs = || left.iter().zip(&right).map(|(l, r)| (f64::from(*l), f64::from(*r)));
        let products: f64 = pairs().map(|(l, r)| l * r).sum();
        let squares: f64 = pairs().map(|(l, r)| (l - r) * (l - r)).sum();
        let differences: f64 = pairs().map(|(l, r)| (l - r).abs()).sum();
        for (metric, expected) in [
            (Metric::Cosine, 1.0 - products),
            (Metric::InnerProduct, -products),
            (Metric::L2, squares),
            (Metric::L1, differences),
        ] {
            let found = f64::from(metric.distance(&left, &right, 1.0));
            assert!((found - expected).abs() < 1e-3, "{metric:?}: {found} {expected}");
        }
        for length in [0, 1, 63, 64, 391] {
            let steps = |vector: &[f32]| -> Vec<i8> {
                vector[..length].iter().map(|value| (value * 127.0).round() as i8).collect()
            };
            let (left, right) = (steps(&left), steps(&right));
            let product: i32 =
                left.iter().zip(&right).map(|(l, r)| i32::from(*l) * i32::from(*r)).sum();
            let expected = product as f32 * 0.25;
            assert_eq!(Metric::InnerProduct.distance_of_steps(&left, &right, 0.25), -expected);
            assert_eq!(Metric::Cosine.distance_of_steps(&left, &right, 0.25), 1.0 - expected);
        }
        // No sum of the greatest products is cut off.
        let (least, greatest) = (vec![-127_i8; left.len()], vec![127_i8; left.len()]);
        for (left, right, product) in [(&least, &greatest, -16_129.0), (&least, &least, 16_129.0)] {
            let expected = product * f32::from(391_u16);
            assert_eq!(Metric::InnerProduct.distance_of_steps(left, right, 1.0), -expected);
        }
        let (product, square) = product_and_square(&left, &right);
        let lengths: f64 = pairs().map(|(_, r)| r * r).sum();
        assert!((f64::from(product) - products).abs() < 1e-3, "{product} {products}");
        assert!((f64::from(square) - lengths).abs() < 1e-3, "{square} {lengths}");
    }
}
