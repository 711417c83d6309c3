//! The gate between a source's decoding thread and its dataflow: where frames wait, where the
//! bytes of pictures in flight are counted, and where a fast decoder is held back.
//!
//! Two limits hold. *Credits* bound the frames that were let in and are not detected yet, so that
//! a frame does not grow old behind others in front of the network. *Bytes* bound all pictures
//! of the source that any operator still holds. What does not fit waits in the decoding thread
//! (`lossless`) or pushes out the oldest waiting frame (`realtime`), which is counted.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use timely::scheduling::SyncActivator;
use vigil_models::Image;

use crate::decode::{Frame, TruthBox};
use crate::fault::Fault;
use crate::source::Mode;

/// At most so many undelivered faults wait at the gate; further ones hold the decoder back.
const MAX_WAITING_FAULTS: usize = 256;

/// A picture in flight. Its bytes count against the source's budget until the last clone is gone.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The pixels.
    pub image: Arc<Image>,
    _reservation: Arc<Reservation>,
}

#[derive(Debug)]
struct Reservation {
    gate: Arc<Gate>,
    bytes: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.gate.lock().bytes_in_flight -= self.bytes;
        self.gate.changed();
    }
}

/// A frame that was let into the dataflow.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// The frame's index in its video, in presentation order, from 0.
    pub frame_number: i64,
    /// Presentation time from the first frame, milliseconds.
    pub pts_millis: i64,
    /// The pixels, with their reservation.
    pub picture: Picture,
    /// What a load generator drew.
    pub truth: Option<Arc<[TruthBox]>>,
    /// When it left the decoder.
    pub left_decoder: Instant,
}

/// What the decode operator finds at the gate.
#[derive(Debug)]
pub enum Arrival {
    /// A frame; [`Gate::detected`] is owed for it.
    Frame(Admitted),
    /// Something could not be decoded; decoding goes on.
    Fault(Fault),
    /// Nothing now; the operator is woken when that changes.
    Empty,
    /// Nothing any more.
    Finished,
}

/// Counters of a gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateCounts {
    /// Frames that the decoder gave.
    pub decoded: i64,
    /// Frames that were dropped undetected.
    pub dropped: i64,
    /// Bytes of pictures waiting or in flight.
    pub bytes: i64,
}

#[derive(Debug)]
struct Waiting {
    frame: Frame,
    bytes: usize,
    left_decoder: Instant,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    faults: VecDeque<Fault>,
    bytes_waiting: usize,
    bytes_in_flight: usize,
    undetected: usize,
    decoded: i64,
    dropped: i64,
    finished: bool,
    closed: bool,
}

/// The gate of one source.
pub struct Gate {
    mode: Mode,
    credits: usize,
    max_bytes: usize,
    state: Mutex<State>,
    room: Condvar,
    operator: OnceLock<SyncActivator>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("state", &self.state).finish_non_exhaustive()
    }
}

/// The source was dropped: nobody takes frames any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl Gate {
    /// A gate that lets in `credits` undetected frames and `max_bytes` of pictures at a time; a
    /// single frame always fits.
    pub fn new(mode: Mode, credits: usize, max_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            mode,
            credits: credits.max(1),
            max_bytes,
            state: Mutex::default(),
            room: Condvar::new(),
            operator: OnceLock::new(),
        })
    }

    /// Names the operator that [takes](Gate::take), so that it is woken when there is something.
    pub fn wakes(&self, operator: SyncActivator) {
        let _ = self.operator.set(operator);
        self.changed();
    }

    /// Hands a frame over: waits for room (`lossless`), or makes room by dropping the oldest
    /// waiting frames (`realtime`).
    ///
    /// # Errors
    /// [`Closed`] when the source was dropped.
    pub fn offer(&self, frame: Frame) -> Result<(), Closed> {
        let bytes = frame.image.rgb().len();
        let mut state = self.lock();
        if self.mode == Mode::Lossless {
            while !state.closed && !self.has_room(&state, bytes) {
                state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        if state.closed {
            return Err(Closed);
        }
        state.decoded += 1;
        state.bytes_waiting += bytes;
        state.waiting.push_back(Waiting { frame, bytes, left_decoder: Instant::now() });
        let mut pushed_out = Vec::new();
        while self.mode == Mode::Realtime && state.waiting.len() > self.credits {
            let oldest = state.waiting.pop_front();
            state.bytes_waiting -= oldest.as_ref().map_or(0, |oldest| oldest.bytes);
            state.dropped += 1;
            pushed_out.extend(oldest);
        }
        drop(state);
        self.changed();
        Ok(())
    }

    /// Hands over what could not be decoded.
    ///
    /// # Errors
    /// [`Closed`] when the source was dropped.
    pub fn report(&self, fault: Fault) -> Result<(), Closed> {
        let mut state = self.lock();
        while !state.closed && state.faults.len() >= MAX_WAITING_FAULTS {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return Err(Closed);
        }
        state.faults.push_back(fault);
        drop(state);
        self.changed();
        Ok(())
    }

    /// The decoder is through: what waits is still taken, then the gate is finished.
    pub fn finish(&self) {
        self.lock().finished = true;
        self.changed();
    }

    /// The source is dropped: the decoder is told to stop at its next frame.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let abandoned = std::mem::take(&mut state.waiting);
        state.bytes_waiting = 0;
        drop(state);
        drop(abandoned);
        self.changed();
    }

    /// Whether the source was dropped.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Takes what is next for the dataflow, faults first.
    pub fn take(self: &Arc<Self>) -> Arrival {
        let mut state = self.lock();
        if let Some(fault) = state.faults.pop_front() {
            drop(state);
            self.room.notify_all();
            return Arrival::Fault(fault);
        }
        let over_bytes = state.bytes_in_flight > 0
            && state.bytes_in_flight + state.waiting.front().map_or(0, |next| next.bytes)
                > self.max_bytes;
        if state.undetected < self.credits
            && !over_bytes
            && let Some(Waiting { frame, bytes, left_decoder }) = state.waiting.pop_front()
        {
            state.undetected += 1;
            state.bytes_waiting -= bytes;
            state.bytes_in_flight += bytes;
            drop(state);
            let reservation = Arc::new(Reservation { gate: Arc::clone(self), bytes });
            return Arrival::Frame(Admitted {
                frame_number: frame.frame_number,
                pts_millis: frame.pts_millis,
                picture: Picture { image: frame.image, _reservation: reservation },
                truth: frame.truth,
                left_decoder,
            });
        }
        if state.closed || (state.finished && state.waiting.is_empty()) {
            return Arrival::Finished;
        }
        Arrival::Empty
    }

    /// A frame has been detected (or its detection failed): the next one may come in.
    pub fn detected(&self) {
        self.lock().undetected -= 1;
        self.changed();
    }

    /// The counters now.
    pub fn counts(&self) -> GateCounts {
        let state = self.lock();
        GateCounts {
            decoded: state.decoded,
            dropped: state.dropped,
            bytes: i64::try_from(state.bytes_waiting + state.bytes_in_flight).unwrap_or(i64::MAX),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self, state: &State, bytes: usize) -> bool {
        let held = state.bytes_waiting + state.bytes_in_flight;
        state.undetected + state.waiting.len() < self.credits
            && (held == 0 || held + bytes <= self.max_bytes)
    }

    /// Tells both sides that something changed.
    fn changed(&self) {
        self.room.notify_all();
        if let Some(operator) = self.operator.get() {
            // It fails only when the worker is gone, and then nobody is left to wake.
            let _ = operator.activate();
        }
    }
}
