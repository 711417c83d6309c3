//! The thread that starts the models' threads.
//!
//! A thread inherits the priority of the one that starts it. A model may be asked for first by a
//! thread that stands back, such as a query's, and then by a camera that may not wait, so that whoever
//! asks must not be the one who starts it.

use crossbeam_channel::{Sender, bounded};

type Work = Box<dyn FnOnce() + Send>;

/// Starts that wait for the thread, which is not busy for long; more of them wait outside.
const WAITING: usize = 64;

/// Runs what starts threads on threads of the priority that it was made with.
pub(super) struct Starter {
    /// `None` where its thread could not be started.
    work: Option<Sender<Work>>,
}

impl Starter {
    /// Starts the thread, which ends when this is dropped.
    pub(super) fn new() -> Self {
        let (sender, work) = bounded::<Work>(WAITING);
        let start_all = move || {
            for start in work {
                // Each on its own, as loading one model must not hold up another. What is not
                // run is dropped, and whoever waits for it is told.
                let _ = std::thread::Builder::new().name("start-model".to_owned()).spawn(start);
            }
        };
        let thread = std::thread::Builder::new().name("start-models".to_owned()).spawn(start_all);
        Self { work: thread.ok().map(|_| sender) }
    }

    /// Runs `start` and waits for it; `None` when no thread can be had or it panics.
    pub(super) fn run<T: Send + 'static>(
        &self,
        start: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = bounded(1);
        let start = Box::new(move || {
            // Whoever asked waits below.
            let _ = reply.send(start());
        });
        self.work.as_ref()?.send(start).ok()?;
        answer.recv().ok()
    }
}
