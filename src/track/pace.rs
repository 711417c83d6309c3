//! When frames come: what is a pause, and what is only a slow video.

use std::collections::VecDeque;

/// Intervals of which the middle one is the usual one: a single pause among them is none, and
/// what happens three times is usual.
const INTERVALS: usize = 5;

/// The times of the frames so far.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    last: Option<(i64, i64)>,
    /// The latest intervals, microseconds.
    intervals: VecDeque<i64>,
}

/// How a frame follows the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// How much its number is greater.
    pub frames: i64,
    /// The time between both, microseconds; 0 where time stands still or runs back.
    pub micros: i64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { last: None, intervals: VecDeque::with_capacity(INTERVALS) }
    }
}

impl Pace {
    /// Turns to a frame, by its number and time (microseconds). `None` when it does not come after
    /// the one before; the first one follows by one frame and no time.
    pub fn turn_to(&mut self, number: i64, micros: i64) -> Option<Step> {
        let Some((last_number, last_micros)) = self.last else {
            self.last = Some((number, micros));
            return Some(Step { frames: 1, micros: 0 });
        };
        if number <= last_number {
            return None;
        }
        self.last = Some((number, micros.max(last_micros)));
        let step = Step {
            frames: number.saturating_sub(last_number),
            micros: micros.saturating_sub(last_micros).max(0),
        };
        if self.intervals.len() == INTERVALS {
            self.intervals.pop_front();
        }
        self.intervals.push_back(step.micros);
        Some(step)
    }

    /// The time between two frames as it mostly is, microseconds; 0 while there was one frame.
    pub fn interval_micros(&self) -> i64 {
        let mut sorted = [i64::MAX; INTERVALS];
        for (place, interval) in sorted.iter_mut().zip(&self.intervals) {
            *place = *interval;
        }
        sorted.sort_unstable();
        // Of an even number the lower one in the middle, as a pause is the higher one.
        self.intervals.len().checked_sub(1).map_or(0, |last| sorted[last / 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(intervals: &[i64]) -> i64 {
        let mut pace = Pace::default();
        let mut micros = 0;
        assert!(pace.turn_to(0, micros).is_some());
        for (number, interval) in (1..).zip(intervals) {
            micros += interval;
            assert!(pace.turn_to(number, micros).is_some());
        }
        pace.interval_micros()
    }

    #[test]
    fn a_pause_is_not_usual_and_a_slow_video_is() {
        assert_eq!(after(&[]), 0);
        assert_eq!(after(&[40]), 40);
        assert_eq!(after(&[40, 3600]), 40);
        assert_eq!(after(&[3600, 40]), 40);
        assert_eq!(after(&[40, 40, 40, 40, 3600]), 40);
        assert_eq!(after(&[40, 40, 40, 3600, 3600]), 40);
        assert_eq!(after(&[40, 40, 3600, 3600, 3600]), 3600);
        assert_eq!(after(&[3600, 3600]), 3600);
    }

    #[test]
    fn frames_out_of_order_are_told() {
        let mut pace = Pace::default();
        assert_eq!(pace.turn_to(5, 100), Some(Step { frames: 1, micros: 0 }));
        assert_eq!(pace.turn_to(5, 200), None);
        assert_eq!(pace.turn_to(4, 200), None);
        assert_eq!(pace.turn_to(7, 50), Some(Step { frames: 2, micros: 0 }));
        assert_eq!(pace.turn_to(8, 130), Some(Step { frames: 1, micros: 30 }));
    }
}
