//! Kalman filters of a box: constant velocity, one filter an axis.
//!
//! With diagonal noise and a measurement of the positions alone, the eight-dimensional filter of
//! SORT, DeepSORT and ByteTrack never couples two axes: its covariance stays four blocks of 2×2.
//! Keeping only these blocks is the same filter at a fraction of the work. The weights of the
//! noise are those of Wojke et al. ("Simple online and realtime tracking with a deep association
//! metric", 2017): positions 1/20 and velocities 1/160 of the height.

use vigil_models::BBox;

use super::CameraMotion;

const POSITION_WEIGHT: f32 = 1.0 / 20.0;
const VELOCITY_WEIGHT: f32 = 1.0 / 160.0;

/// A value, its velocity a frame, and their covariance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    /// The value.
    pub value: f32,
    /// Its change a frame.
    pub velocity: f32,
    value_variance: f32,
    covariance: f32,
    velocity_variance: f32,
}

impl Axis {
    /// At `value`, still; with standard deviations of value and velocity.
    pub fn new(value: f32, value_std: f32, velocity_std: f32) -> Self {
        Self {
            value,
            velocity: 0.0,
            value_variance: value_std * value_std,
            covariance: 0.0,
            velocity_variance: velocity_std * velocity_std,
        }
    }

    /// Goes `frames` on; the standard deviations are those that a frame adds. That is what as many
    /// steps of one frame come to, in which the noise of the velocity is noise of the value later.
    pub fn predict(&mut self, frames: f32, value_std: f32, velocity_std: f32) {
        let velocity_noise = velocity_std * velocity_std;
        // Sums of 0 + 1 + … + (frames - 1), and of their squares.
        let sum = frames * (frames - 1.0) / 2.0;
        let squares = sum * (2.0 * frames - 1.0) / 3.0;
        self.value += frames * self.velocity;
        self.value_variance += frames * (2.0 * self.covariance + frames * self.velocity_variance)
            + frames * value_std * value_std
            + squares * velocity_noise;
        self.covariance += frames * self.velocity_variance + sum * velocity_noise;
        self.velocity_variance += frames * velocity_noise;
    }

    /// Learns of a measurement with this standard deviation.
    pub fn correct(&mut self, measured: f32, std: f32) {
        let variance = self.value_variance + std * std;
        let residual = measured - self.value;
        let gain = self.value_variance / variance;
        let velocity_gain = self.covariance / variance;
        self.value += gain * residual;
        self.velocity += velocity_gain * residual;
        self.velocity_variance -= velocity_gain * self.covariance;
        self.covariance -= gain * self.covariance;
        self.value_variance -= gain * self.value_variance;
    }

    /// The squared distance of a measurement in standard deviations.
    pub fn distance(&self, measured: f32, std: f32) -> f32 {
        let residual = measured - self.value;
        residual * residual / (self.value_variance + std * std)
    }
}

/// A box's filter on centre, aspect (width over height) and height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BoxFilter {
    x: Axis,
    y: Axis,
    aspect: Axis,
    height: Axis,
}

impl BoxFilter {
    /// At a box, still.
    pub fn new(bbox: &BBox) -> Self {
        let (x, y) = bbox.center();
        let height = bbox.height();
        let (position, velocity) =
            (2.0 * POSITION_WEIGHT * height, 10.0 * VELOCITY_WEIGHT * height);
        Self {
            x: Axis::new(x, position, velocity),
            y: Axis::new(y, position, velocity),
            aspect: Axis::new(bbox.width() / height, 1e-2, 1e-5),
            height: Axis::new(height, position, velocity),
        }
    }

    /// Goes `frames` on.
    pub fn predict(&mut self, frames: f32) {
        let height = self.height.value.max(1.0);
        let (position, velocity) = (POSITION_WEIGHT * height, VELOCITY_WEIGHT * height);
        self.x.predict(frames, position, velocity);
        self.y.predict(frames, position, velocity);
        self.aspect.predict(frames, 1e-2, 1e-5);
        self.height.predict(frames, position, velocity);
    }

    /// Learns of a box; `noise` scales the measurement's standard deviation (1 as published, less
    /// for a confident detection: Du et al., "GIAOTracker", 2021).
    pub fn correct(&mut self, bbox: &BBox, noise: f32) {
        let (x, y) = bbox.center();
        let std = noise * POSITION_WEIGHT * self.height.value.max(1.0);
        self.x.correct(x, std);
        self.y.correct(y, std);
        self.aspect.correct(bbox.width() / bbox.height(), noise * 1e-1);
        self.height.correct(bbox.height(), std);
    }

    /// The squared Mahalanobis distance of a box, four degrees of freedom.
    pub fn distance(&self, bbox: &BBox) -> f32 {
        let (x, y) = bbox.center();
        let std = POSITION_WEIGHT * self.height.value.max(1.0);
        self.x.distance(x, std)
            + self.y.distance(y, std)
            + self.aspect.distance(bbox.width() / bbox.height(), 1e-1)
            + self.height.distance(bbox.height(), std)
    }

    /// Stops growing and shrinking, as ByteTrack does with a track that is lost.
    pub fn freeze_height(&mut self) {
        self.height.velocity = 0.0;
    }

    /// Moves with the picture. Turns and scalings move the centre and scale the height; of the
    /// covariance nothing changes, as the motion between two frames is small.
    pub fn move_with(&mut self, motion: &CameraMotion) {
        let CameraMotion { x: [a, b, c], y: [d, e, f] } = *motion;
        let (x, y) = (self.x.value, self.y.value);
        self.x.value = a * x + b * y + c;
        self.y.value = d * x + e * y + f;
        let (vx, vy) = (self.x.velocity, self.y.velocity);
        self.x.velocity = a * vx + b * vy;
        self.y.velocity = d * vx + e * vy;
        let scale = (a * e - b * d).abs().sqrt();
        self.height.value *= scale;
        self.height.velocity *= scale;
    }

    /// The box.
    pub fn bbox(&self) -> BBox {
        let height = self.height.value.max(1.0);
        let width = (self.aspect.value * height).max(1.0);
        let (x, y) = (self.x.value, self.y.value);
        BBox::new(x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0)
    }
}
