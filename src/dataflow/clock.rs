//! The engine's own monotonic clock, whose milliseconds are the dataflow's timestamps.

use std::time::Instant;

/// A dataflow timestamp: milliseconds of the engine's clock.
pub type Tick = u64;

/// The clock that all sources of an engine share, so that a view over several of them has one
/// frontier.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that stands at zero.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// The moment at which the clock stood at zero.
    pub fn origin(&self) -> Instant {
        self.start
    }

    /// Milliseconds since the start.
    pub fn now(&self) -> Tick {
        Tick::try_from(self.start.elapsed().as_millis()).unwrap_or(Tick::MAX)
    }
}

/// Gives each frame of one source a tick of its own: now, or the tick after the last one where
/// frames come faster than one a millisecond.
#[derive(Debug)]
pub struct TickStamp {
    clock: Clock,
    next: Tick,
}

impl TickStamp {
    /// A stamp that starts at the clock's present tick.
    pub fn new(clock: Clock) -> Self {
        Self { clock, next: clock.now() }
    }

    /// The tick of the next frame; strictly rising.
    pub fn stamp(&mut self) -> Tick {
        let tick = self.clock.now().max(self.next);
        self.next = tick + 1;
        tick
    }

    /// The least tick that [`TickStamp::stamp`] can still give.
    pub fn frontier(&self) -> Tick {
        self.next
    }
}
