//! Presentation times from what a container gives: from the first frame on, rising, none missing.

/// Without a rate of its own a video is taken to have 25 frames a second.
const DEFAULT_STEP_MICROS: i64 = 40_000;

/// Turns the timestamps of a video's frames, in presentation order, into times from the first.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    step_micros: i64,
    /// The timestamp that is time 0, once one was seen.
    origin_micros: Option<i64>,
    last_micros: Option<i64>,
}

impl Clock {
    /// A clock for a video of that many frames a second, where that is known.
    pub(super) fn new(frame_rate: Option<f64>) -> Self {
        let step_micros =
            frame_rate.map_or(DEFAULT_STEP_MICROS, |rate| ((1e6 / rate).round() as i64).max(1));
        Self { step_micros, origin_micros: None, last_micros: None }
    }

    /// The time of the next frame, microseconds from the first. A timestamp that is missing or
    /// does not rise is replaced by the last one and the length of a frame.
    pub(super) fn next(&mut self, timestamp_micros: Option<i64>) -> i64 {
        let expected = self.last_micros.map_or(0, |last| last.saturating_add(self.step_micros));
        let micros = match (timestamp_micros, self.origin_micros) {
            (None, _) => expected,
            (Some(timestamp), None) => {
                self.origin_micros = Some(timestamp.saturating_sub(expected));
                expected
            }
            (Some(timestamp), Some(origin)) => {
                let micros = timestamp.saturating_sub(origin);
                if self.last_micros.is_none_or(|last| micros > last) { micros } else { expected }
            }
        };
        self.last_micros = Some(micros);
        micros
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_start_at_the_first_frame() {
        let mut clock = Clock::new(Some(25.0));
        let times = [1_000_000, 1_040_000, 1_081_000].map(|micros| clock.next(Some(micros)));
        assert_eq!(times, [0, 40_000, 81_000]);
    }

    #[test]
    fn missing_and_falling_timestamps_are_estimated_from_the_rate() {
        let mut clock = Clock::new(Some(10.0));
        let given = [Some(500_000), None, Some(700_000), Some(600_000), Some(900_000)];
        assert_eq!(given.map(|t| clock.next(t)), [0, 100_000, 200_000, 300_000, 400_000]);
        let mut silent = Clock::new(None);
        assert_eq!([None, None, None].map(|t| silent.next(t)), [0, 40_000, 80_000]);
    }

    #[test]
    fn timestamps_that_begin_late_go_on_from_the_estimate() {
        let mut clock = Clock::new(Some(10.0));
        let given = [None, None, Some(7_000_000), Some(7_150_000)];
        assert_eq!(given.map(|t| clock.next(t)), [0, 100_000, 200_000, 350_000]);
    }
}
