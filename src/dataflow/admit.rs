//! The operator `decode`: the beginning of a source's dataflow. What the decoding thread put at
//! the gate comes out, each frame at a tick of its own; the operator's capability follows the
//! ticks and is given up with the last frame.

use std::sync::Arc;

use timely::dataflow::Scope;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::clock::{Clock, Tick, TickStamp};
use super::gate::{Admitted, Arrival, Gate};
use super::metrics::DataflowMetrics;
use super::offload::OksAndErrs;
use crate::detect::Step;

/// Builds the operator; on a worker that does not own the source it gives nothing.
pub fn decode<'scope>(
    scope: Scope<'scope, Tick>,
    gate: Arc<Gate>,
    clock: Clock,
    is_owner: bool,
    metrics: &DataflowMetrics,
) -> OksAndErrs<'scope, Step<Admitted>> {
    let metrics = metrics.operator("decode");
    let mut builder = OperatorBuilder::new("decode".to_owned(), scope);
    let address = builder.operator_info().address.to_vec();
    if is_owner {
        gate.wakes(scope.worker().sync_activator_for(address));
    }
    let (frames, frames_stream) = builder.new_output();
    let (errs, errs_stream) = builder.new_output();
    let mut frames = OutputBuilder::from(frames);
    let mut errs = OutputBuilder::from(errs);
    builder.build(move |mut initial| {
        // The builder mints one capability for each output, in order.
        let errs_capability = initial.pop();
        let frames_capability = initial.pop();
        let mut capabilities = frames_capability.zip(errs_capability).filter(|_| is_owner);
        let mut stamp = TickStamp::new(clock);
        move |_frontiers| {
            let _busy = metrics.busy();
            let Some((frames_capability, errs_capability)) = capabilities.as_mut() else { return };
            let mut frames = frames.activate();
            let mut errs = errs.activate();
            let is_finished = loop {
                let step = match gate.take() {
                    Arrival::Frame(frame) => {
                        metrics.took(1);
                        metrics.gave(frame.left_decoder.elapsed());
                        Step::Frame(frame)
                    }
                    Arrival::Fault(fault) => {
                        errs.session(errs_capability).give(fault);
                        continue;
                    }
                    Arrival::Empty => break false,
                    Arrival::Finished => Step::End,
                };
                let is_end = matches!(step, Step::End);
                frames_capability.downgrade(&stamp.stamp());
                frames.session(frames_capability).give(step);
                frames_capability.downgrade(&stamp.frontier());
                errs_capability.downgrade(&stamp.frontier());
                if is_end {
                    break true;
                }
            };
            if is_finished {
                capabilities = None;
            }
        }
    });
    (frames_stream, errs_stream)
}
