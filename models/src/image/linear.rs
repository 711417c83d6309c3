//! Scaling with two by two neighbours, to the bit as OpenCV's `resize` with `INTER_LINEAR` does it on
//! packed bytes (OpenCV 4 and 5, `resize.cpp`: weights of 11 bits, rows first).
//!
//! What YOLO networks were trained and are measured with; a step more or less in a pixel moves
//! small boxes by pixels. An own loop, as the filters of `fast_image_resize` round between the two
//! passes, and as only two source rows are needed for a row of the target.

/// One of two neighbours has this weight together with the other one: 2¹¹.
const ONE: f32 = 2048.0;

/// Two neighbours along a side, and the weight of each.
#[derive(Clone, Copy)]
struct Tap {
    at: [usize; 2],
    weight: [i32; 2],
}

/// A side of a picture.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Across,
    Down,
}

/// The neighbours of each of `to` places among `from`, with half-pixel centres; beyond the last
/// and before the first pixel is that pixel. OpenCV gives such a pixel all of the weight across, and
/// down splits it as between two, which rounds otherwise; it matters where pictures grow.
fn taps(side: Side, from: usize, to: usize, taps: &mut Vec<Tap>) {
    let scale = from as f64 / to as f64;
    taps.clear();
    taps.extend((0..to).map(|place| {
        let centre = ((place as f64 + 0.5) * scale - 0.5) as f32;
        let below = centre.floor();
        let outside = below < 0.0 || below as usize >= from - 1;
        let fraction = if outside && side == Side::Across { 0.0 } else { centre - below };
        let weight = [1.0 - fraction, fraction].map(|w| (w * ONE).round_ties_even() as i32);
        let first = if below < 0.0 { 0 } else { (below as usize).min(from - 1) };
        let second = if below < 0.0 { 0 } else { (first + 1).min(from - 1) };
        Tap { at: [first, second], weight }
    }));
}

/// Scales packed RGB pictures; keeps its buffers.
#[derive(Default)]
pub(super) struct Linear {
    across: Vec<Tap>,
    down: Vec<Tap>,
    /// Two source rows, scaled across, with 7 bits of fraction; and a number more.
    rows: [Vec<i16>; 2],
}

impl Linear {
    /// Scales a picture of one (width, height) into another; no side is zero, and `pixels` gets
    /// width × height × 3 bytes.
    pub(super) fn scale(
        &mut self,
        rgb: &[u8],
        (from_width, from_height): (usize, usize),
        (width, height): (usize, usize),
        pixels: &mut Vec<u8>,
    ) {
        taps(Side::Across, from_width, width, &mut self.across);
        taps(Side::Down, from_height, height, &mut self.down);
        for row in &mut self.rows {
            row.resize(width * 3 + 1, 0);
        }
        pixels.resize(width * height * 3, 0);
        let mut held = [usize::MAX; 2];
        let targets = pixels.chunks_exact_mut(width * 3);
        for (tap, target) in self.down.iter().zip(targets) {
            // What was the second row is often the first one now.
            if tap.at[0] == held[1] && held[0] != tap.at[0] {
                self.rows.swap(0, 1);
                held.swap(0, 1);
            }
            for (slot, row) in self.rows.iter_mut().enumerate() {
                // A row that has no weight is not looked at.
                if held[slot] != tap.at[slot] && tap.weight[slot] != 0 {
                    let start = tap.at[slot] * from_width * 3;
                    scale_row(&rgb[start..][..from_width * 3], &self.across, row);
                    held[slot] = tap.at[slot];
                }
            }
            let [first, second] = &self.rows;
            mix_rows(first, second, tap.weight, target);
        }
    }
}

/// One source row, scaled across; 4 of the 11 bits of fraction are dropped, as OpenCV drops them
/// before it weighs rows.
fn scale_row(source: &[u8], across: &[Tap], row: &mut [i16]) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has SSE2.
    let done = unsafe { wide::scale_row(source, across, row) };
    #[cfg(not(target_arch = "x86_64"))]
    let done = 0;
    let pixels = source.as_chunks::<3>().0;
    let targets = row.as_chunks_mut::<3>().0.iter_mut();
    for (tap, target) in across.iter().zip(targets).skip(done) {
        let ([left, right], [first, second]) = (tap.at, tap.weight);
        for (channel, target) in target.iter_mut().enumerate() {
            let [left, right] = [left, right].map(|at| i32::from(pixels[at][channel]));
            *target = ((left * first + right * second) >> 4) as i16;
        }
    }
}

/// Two scaled rows to one of bytes.
fn mix_rows(first: &[i16], second: &[i16], weight: [i32; 2], target: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has SSE2.
    let done = unsafe { wide::mix_rows(first, second, weight, target) };
    #[cfg(not(target_arch = "x86_64"))]
    let done = 0;
    let weighed = |number: i16, weight: i32| (i32::from(number) * weight) >> 16;
    let rows = first.iter().zip(second);
    for ((first, second), target) in rows.zip(target).skip(done) {
        // At most 255, as the weights of each side add up to 1.
        *target = ((weighed(*first, weight[0]) + weighed(*second, weight[1]) + 2) >> 2) as u8;
    }
}

/// The same with vector instructions, which compilers do not find by themselves: a pixel's three
/// channels at once across, eight numbers at once down.
#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::{
        _mm_add_epi16, _mm_cvtsi64_si128, _mm_loadu_si128, _mm_madd_epi16, _mm_mulhi_epi16,
        _mm_packs_epi32, _mm_packus_epi16, _mm_set1_epi16, _mm_set1_epi32, _mm_setzero_si128,
        _mm_srai_epi16, _mm_srai_epi32, _mm_srli_si128, _mm_storel_epi64, _mm_unpacklo_epi8,
    };

    use super::Tap;

    /// Scales as far as the 8 bytes that two neighbours begin with are all in the row, and the
    /// target has room for a number more than a pixel needs; gives how many pixels that were.
    #[target_feature(enable = "sse2")]
    pub(super) fn scale_row(source: &[u8], across: &[Tap], row: &mut [i16]) -> usize {
        for (place, tap) in across.iter().enumerate() {
            let [first, second] = tap.weight;
            let start = tap.at[0] * 3;
            let pair = source.get(start..).and_then(|pixels| pixels.first_chunk::<8>());
            let target = row.get_mut(place * 3..).and_then(|row| row.first_chunk_mut::<4>());
            // Where both neighbours are one pixel, the second one may have some of the weight.
            let (Some(pair), Some(target), true) = (pair, target, tap.at[0] < tap.at[1]) else {
                return place;
            };
            let pair = _mm_cvtsi64_si128(i64::from_le_bytes(*pair));
            let bytes = _mm_unpacklo_epi8(pair, _mm_srli_si128::<3>(pair));
            let words = _mm_unpacklo_epi8(bytes, _mm_setzero_si128());
            let sums = _mm_madd_epi16(words, _mm_set1_epi32(first | (second << 16)));
            let numbers = _mm_srai_epi32::<4>(sums);
            let packed = _mm_packs_epi32(numbers, numbers);
            // The fourth number is none, and what is next writes over it.
            // SAFETY: the target is 8 bytes that nobody else has.
            unsafe { _mm_storel_epi64(target.as_mut_ptr().cast(), packed) };
        }
        across.len()
    }

    /// Mixes all but the last few numbers, which make no eight; gives how many those are.
    #[target_feature(enable = "sse2")]
    pub(super) fn mix_rows(
        first: &[i16],
        second: &[i16],
        [upper, lower]: [i32; 2],
        target: &mut [u8],
    ) -> usize {
        let (upper, lower) = (_mm_set1_epi16(upper as i16), _mm_set1_epi16(lower as i16));
        let half = _mm_set1_epi16(2);
        let (targets, _) = target.as_chunks_mut::<8>();
        let eights = first.as_chunks::<8>().0.iter().zip(second.as_chunks::<8>().0);
        for ((first, second), target) in eights.zip(targets.iter_mut()) {
            // SAFETY: both are 16 bytes.
            let (first, second) = unsafe {
                (_mm_loadu_si128(first.as_ptr().cast()), _mm_loadu_si128(second.as_ptr().cast()))
            };
            let sum = _mm_add_epi16(_mm_mulhi_epi16(first, upper), _mm_mulhi_epi16(second, lower));
            let numbers = _mm_srai_epi16::<2>(_mm_add_epi16(sum, half));
            let bytes = _mm_packus_epi16(numbers, numbers);
            // SAFETY: the target is 8 bytes that nobody else has.
            unsafe { _mm_storel_epi64(target.as_mut_ptr().cast(), bytes) };
        }
        targets.len() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The red bytes are those of `cv2.resize(picture, (width, height))`, OpenCV 5.0.0.
    #[test]
    fn pixels_are_opencvs() {
        let rgb: Vec<u8> = (0_u32..9 * 7 * 3).map(|i| ((i * i * 7 + i * 13) % 251) as u8).collect();
        let expected: [((usize, usize), &[u8]); 4] = [
            ((4, 3), &[135, 59, 85, 118, 37, 141, 232, 154, 94, 159, 128, 136]),
            ((3, 2), &[158, 139, 187, 71, 99, 194]),
            (
                (5, 6),
                &[
                    52, 93, 156, 196, 86, 150, 50, 139, 155, 122, 59, 148, 134, 105, 182, 115, 126,
                    121, 101, 187, 91, 169, 99, 143, 138, 120, 183, 89, 222, 114,
                ],
            ),
            (
                (13, 4),
                &[
                    69, 99, 109, 62, 92, 123, 141, 73, 114, 220, 153, 100, 65, 32, 83, 128, 130,
                    189, 218, 199, 136, 97, 88, 157, 182, 185, 200, 137, 86, 93, 158, 192, 178,
                    121, 88, 85, 159, 189, 197, 71, 114, 162, 196, 154, 111, 81, 138, 183, 209,
                    158, 121, 99,
                ],
            ),
        ];
        let mut linear = Linear::default();
        for (size, red) in expected {
            let mut pixels = Vec::new();
            linear.scale(&rgb, (9, 7), size, &mut pixels);
            let found: Vec<u8> = pixels.iter().step_by(3).copied().collect();
            assert_eq!(found, red, "{size:?}");
        }
    }

    #[test]
    fn a_single_pixel_fills_everything() {
        let mut pixels = Vec::new();
        Linear::default().scale(&[1, 2, 3], (1, 1), (2, 2), &mut pixels);
        assert_eq!(pixels, [1, 2, 3].repeat(4));
    }
}
