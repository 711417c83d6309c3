//! The decoding thread of a source: it reads frames and puts them at the gate, until the video
//! ends, the source is dropped, or nothing can be read.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Error;
use super::running::RunningSource;
use crate::dataflow::gate::Closed;
use crate::decode::{FrameReader, Read};
use crate::fault::{Fault, Stage};

/// Starts the thread `decode-<source>`.
///
/// # Errors
/// [`Error::Thread`].
pub fn start(source: Arc<RunningSource>, mut reader: Box<dyn FrameReader>) -> Result<(), Error> {
    source.run();
    let thread = std::thread::Builder::new().name(format!("decode-{}", source.spec.name));
    let spawned = thread.spawn({
        let source = Arc::clone(&source);
        move || {
            let read = catch_unwind(AssertUnwindSafe(|| read_all(&source, reader.as_mut())));
            if read.is_err() {
                source.fail_at_end("XX000", "the decoder panicked");
            }
            source.gate.finish();
        }
    });
    spawned.map(drop).map_err(|error| {
        source.fail("53000", "its decoding thread could not be started");
        source.gate.finish();
        Error::Thread(error.to_string())
    })
}

fn read_all(source: &RunningSource, reader: &mut dyn FrameReader) {
    let mut last_fault = None;
    let mut frames: u64 = 0;
    loop {
        let handed_over = match reader.read() {
            Read::Frame(frame) => {
                frames += 1;
                source.gate.offer(frame)
            }
            Read::Fault(error) => {
                let message = match error.detail() {
                    Some(detail) => format!("{error}: {detail}"),
                    None => error.to_string(),
                };
                let sqlstate = error.sqlstate().to_owned();
                let fault = Fault {
                    stage: Stage::Decode,
                    frame_number: error.frame_number(),
                    sqlstate: sqlstate.clone(),
                    message: message.clone(),
                };
                last_fault = Some((sqlstate, message));
                source.gate.report(fault)
            }
            Read::End => break,
        };
        if handed_over == Err(Closed) {
            return;
        }
    }
    if frames == 0 {
        let (sqlstate, message) = last_fault
            .unwrap_or_else(|| ("22P03".to_owned(), "the video has no frames".to_owned()));
        source.fail_at_end(&sqlstate, &message);
    }
}
