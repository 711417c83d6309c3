//! Which frames `fps` takes: the first at or after each multiple of 1/fps, by presentation time.

/// Containers round times to a millisecond (Matroska, FLV): a frame that is late or early by no
/// more than that counts as on time.
const TOLERANCE_MICROS: f64 = 1000.0;

/// Decides frame by frame; the answer depends on the times alone.
#[derive(Clone, Debug)]
pub(super) struct Sampler {
    fps: Option<f64>,
    /// The next moment to take a frame for is `next / fps` seconds.
    next: u64,
}

impl Sampler {
    /// Takes at most `fps` frames a second, or all of them.
    pub(super) fn new(fps: Option<f64>) -> Self {
        Self { fps, next: 0 }
    }

    /// Whether the frame at `pts_micros` from the first frame is taken. Times must not fall.
    pub(super) fn takes(&mut self, pts_micros: i64) -> bool {
        let Some(fps) = self.fps else { return true };
        let moments = (pts_micros as f64 + TOLERANCE_MICROS) * fps / 1e6;
        if moments < self.next as f64 {
            return false;
        }
        self.next = moments.floor() as u64 + 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The numbers of the frames that are taken of a video with a constant rate, whose times are
    /// rounded to `rounding` microseconds.
    fn taken(rate: f64, frames: i64, fps: f64, rounding: f64) -> Vec<i64> {
        let mut sampler = Sampler::new(Some(fps));
        let pts = |frame: i64| ((frame as f64 * 1e6 / rate / rounding).round() * rounding) as i64;
        (0..frames).filter(|frame| sampler.takes(pts(*frame))).collect()
    }

    #[test]
    fn every_second_and_every_fifth_frame() {
        assert_eq!(taken(30.0, 10, 15.0, 1.0), [0, 2, 4, 6, 8]);
        assert_eq!(taken(10.0, 20, 2.0, 1.0), [0, 5, 10, 15]);
        assert_eq!(taken(25.0, 6, 10.0, 1.0), [0, 3, 5]);
    }

    #[test]
    fn times_in_whole_milliseconds_give_the_same_frames() {
        assert_eq!(taken(30.0, 3000, 15.0, 1000.0), taken(30.0, 3000, 15.0, 1.0));
        assert_eq!(taken(24.0, 2400, 8.0, 1000.0), taken(24.0, 2400, 8.0, 1.0));
    }

    #[test]
    fn no_rate_and_a_higher_rate_take_all() {
        let mut all = Sampler::new(None);
        assert!((0..10).all(|pts| all.takes(pts)));
        assert_eq!(taken(25.0, 100, 25.0, 1000.0).len(), 100);
        assert_eq!(taken(25.0, 100, 60.0, 1000.0).len(), 100);
    }

    #[test]
    fn a_gap_in_the_video_is_not_made_up_for() {
        let mut sampler = Sampler::new(Some(10.0));
        assert!(sampler.takes(0));
        assert!(sampler.takes(5_000_000));
        assert!(!sampler.takes(5_040_000));
        assert!(sampler.takes(5_100_000));
    }

    proptest! {
        #[test]
        fn one_frame_for_each_moment_and_none_missed(
            steps in prop::collection::vec(0_i64..200_000, 1..300),
            fps in 0.1_f64..60.0,
        ) {
            let mut sampler = Sampler::new(Some(fps));
            let moment = |pts: i64| ((pts as f64 + TOLERANCE_MICROS) * fps / 1e6).floor() as i64;
            let mut pts = 0;
            let mut last_seen = -1;
            for step in steps {
                // The first frame of each moment is taken, and no other.
                prop_assert_eq!(sampler.takes(pts), moment(pts) > last_seen);
                last_seen = moment(pts);
                pts += step;
            }
        }
    }
}
