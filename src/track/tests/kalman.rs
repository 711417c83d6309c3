//! The filters of `kalman.rs`, which keep blocks of 2×2 alone, against the whole filter of eight
//! dimensions, written out here as in the books.

use vigil_models::BBox;

use crate::track::CameraMotion;
use crate::track::kalman::BoxFilter;

type Square<const N: usize> = [[f64; N]; N];

/// Centre, aspect, height and the velocities of these, with all their covariances.
struct Dense {
    mean: [f64; 8],
    covariance: Square<8>,
}

fn measurement(bbox: &BBox) -> [f64; 4] {
    let [x1, y1, x2, y2] = [bbox.x1, bbox.y1, bbox.x2, bbox.y2].map(f64::from);
    [(x1 + x2) / 2.0, (y1 + y2) / 2.0, (x2 - x1) / (y2 - y1), y2 - y1]
}

/// By Gauss and Jordan; the matrix is positive definite, so that no rows need to change places.
fn inverse(mut of: Square<4>) -> Square<4> {
    let mut inverse = Square::<4>::default();
    for (row, values) in inverse.iter_mut().enumerate() {
        values[row] = 1.0;
    }
    for pivot in 0..4 {
        let scale = of[pivot][pivot];
        for column in 0..4 {
            of[pivot][column] /= scale;
            inverse[pivot][column] /= scale;
        }
        for row in (0..4).filter(|row| *row != pivot) {
            let factor = of[row][pivot];
            for column in 0..4 {
                of[row][column] -= factor * of[pivot][column];
                inverse[row][column] -= factor * inverse[pivot][column];
            }
        }
    }
    inverse
}

impl Dense {
    fn new(bbox: &BBox) -> Self {
        let [x, y, aspect, height] = measurement(bbox);
        let (position, velocity) = (2.0 * height / 20.0, 10.0 * height / 160.0);
        let stds = [position, position, 1e-2, position, velocity, velocity, 1e-5, velocity];
        let mut covariance = Square::<8>::default();
        for (index, std) in stds.into_iter().enumerate() {
            covariance[index][index] = std * std;
        }
        Self { mean: [x, y, aspect, height, 0.0, 0.0, 0.0, 0.0], covariance }
    }

    /// So many times a frame on, with the noise of the height that it begins with.
    fn predict(&mut self, frames: u8) {
        let height = self.mean[3].max(1.0);
        let (position, velocity) = (height / 20.0, height / 160.0);
        let stds = [position, position, 1e-2, position, velocity, velocity, 1e-5, velocity];
        for _ in 0..frames {
            // F·x and F·P·Fᵀ + Q, where F is 1 on the diagonal and from velocities to values.
            for value in 0..4 {
                self.mean[value] += self.mean[value + 4];
            }
            for value in 0..4 {
                for column in 0..8 {
                    self.covariance[value][column] += self.covariance[value + 4][column];
                }
            }
            for row in 0..8 {
                for value in 0..4 {
                    self.covariance[row][value] += self.covariance[row][value + 4];
                }
            }
            for (index, std) in stds.into_iter().enumerate() {
                self.covariance[index][index] += std * std;
            }
        }
    }

    /// H·P·Hᵀ + R, whose inverse weighs a measurement.
    fn expected(&self, noise: f64) -> Square<4> {
        let std = noise * self.mean[3].max(1.0) / 20.0;
        let stds = [std, std, noise * 1e-1, std];
        let mut expected = Square::<4>::default();
        for row in 0..4 {
            expected[row].copy_from_slice(&self.covariance[row][..4]);
            expected[row][row] += stds[row] * stds[row];
        }
        expected
    }

    fn residual(&self, bbox: &BBox) -> [f64; 4] {
        let measured = measurement(bbox);
        std::array::from_fn(|index| measured[index] - self.mean[index])
    }

    fn correct(&mut self, bbox: &BBox, noise: f64) {
        let weights = inverse(self.expected(noise));
        let residual = self.residual(bbox);
        // K = P·Hᵀ·S⁻¹
        let gain: [[f64; 4]; 8] = std::array::from_fn(|row| {
            std::array::from_fn(|column| {
                (0..4).map(|k| self.covariance[row][k] * weights[k][column]).sum()
            })
        });
        // x + K·y and P - K·H·P
        let before = self.covariance;
        for (row, gain) in gain.iter().enumerate() {
            for (index, gain) in gain.iter().enumerate() {
                self.mean[row] += gain * residual[index];
                for (left, before) in self.covariance[row].iter_mut().zip(&before[index]) {
                    *left -= gain * before;
                }
            }
        }
    }

    fn distance(&self, bbox: &BBox) -> f64 {
        let (weights, residual) = (inverse(self.expected(1.0)), self.residual(bbox));
        let weighted = |row: usize| (0..4).map(|k| weights[row][k] * residual[k]).sum::<f64>();
        (0..4).map(|row| residual[row] * weighted(row)).sum()
    }

    fn corners(&self) -> [f64; 4] {
        let [x, y, aspect, height, ..] = self.mean;
        let width = aspect * height;
        [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0]
    }
}

/// A box that speeds up, sinks and comes nearer, as it is seen in its `n`th frame; no two frames
/// tremble alike.
fn seen(n: u8) -> BBox {
    let tremble = f32::from(n.wrapping_mul(37) % 11) / 4.0;
    let n = f32::from(n);
    let (x, y) = (40.0 + 3.0 * n + 0.1 * n * n + tremble, 60.0 + n - tremble);
    let (width, height) = (30.0 + 0.4 * n - tremble, 80.0 + n + tremble);
    BBox::new(x, y, x + width, y + height)
}

#[test]
fn blocks_are_the_filter_of_eight_dimensions() {
    // Noise is 1 as published, and 1 - confidence with NSA.
    let noises: [fn(u8) -> f32; 2] =
        [|_| 1.0, |n| 1.0 - [0.95, 0.3, 0.6, 0.85][usize::from(n % 4)]];
    for noise in noises {
        let (mut blocks, mut dense) = (BoxFilter::new(&seen(0)), Dense::new(&seen(0)));
        let mut now = 0;
        for frames in [1, 1, 1, 2, 1, 5, 1, 1, 12, 1, 3, 1] {
            now += frames;
            blocks.predict(f32::from(frames));
            dense.predict(frames);
            let agree = |blocks: &BoxFilter, dense: &Dense, what: &str| {
                let bbox = blocks.bbox();
                let found = [bbox.x1, bbox.y1, bbox.x2, bbox.y2].map(f64::from);
                for (found, expected) in found.into_iter().zip(dense.corners()) {
                    assert!((found - expected).abs() < 1e-3, "frame {now}, {what}: {bbox:?}");
                }
                // Of another box too, which is many deviations away.
                for other in [seen(now), seen(now + 9)] {
                    let (found, expected) =
                        (f64::from(blocks.distance(&other)), dense.distance(&other));
                    let apart = (found - expected).abs();
                    assert!(apart < 1e-3 * expected.max(1.0), "frame {now}, {what}: {found}");
                }
            };
            agree(&blocks, &dense, "predicted");
            blocks.correct(&seen(now), noise(now));
            dense.correct(&seen(now), f64::from(noise(now)));
            agree(&blocks, &dense, "corrected");
        }
    }
}

/// A filter that goes with the camera is where one would be that saw the boxes as the camera shows
/// them now.
#[test]
fn a_filter_moves_with_the_camera() {
    let [a, b, c, f] = [1.2, 0.0, -30.0, 15.0];
    let motion = CameraMotion { x: [a, b, c], y: [b, a, f] };
    let shown =
        |bbox: BBox| BBox::new(a * bbox.x1 + c, a * bbox.y1 + f, a * bbox.x2 + c, a * bbox.y2 + f);
    let (mut moved, mut seen_so) = (BoxFilter::new(&seen(0)), BoxFilter::new(&shown(seen(0))));
    for n in 1..10 {
        moved.predict(1.0);
        moved.correct(&seen(n), 1.0);
        seen_so.predict(1.0);
        seen_so.correct(&shown(seen(n)), 1.0);
    }
    moved.move_with(&motion);
    for frames in [0.0, 1.0, 20.0] {
        moved.predict(frames);
        seen_so.predict(frames);
        let (found, expected) = (moved.bbox(), seen_so.bbox());
        let apart = [
            found.x1 - expected.x1,
            found.y1 - expected.y1,
            found.x2 - expected.x2,
            found.y2 - expected.y2,
        ];
        assert!(apart.iter().all(|apart| apart.abs() < 1e-2), "{found:?} {expected:?}");
    }
}
