//! The operator that does not block: work is handed to threads elsewhere, each record's
//! capability is held until its answer is there, and the answer wakes the operator.
//!
//! Detection, the keeping of key frames, captioning and embedding are all this operator with
//! another `submit`. Answers leave in the order of their records, whichever come first: what the
//! next operator does first must not depend on how fast threads are.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::scheduling::SyncActivator;

use super::clock::Tick;
use super::metrics::OperatorMetrics;
use crate::fault::Fault;

/// Two streams of an operator that can fail: its records, and what went wrong.
pub type OksAndErrs<'scope, R> = (Stream<'scope, Tick, Vec<R>>, Stream<'scope, Tick, Vec<Fault>>);

/// What became of a record.
#[derive(Debug)]
pub struct Answer<R> {
    /// The record for the next operator, if there is one.
    pub ok: Option<R>,
    /// What went wrong, if anything did.
    pub fault: Option<Fault>,
}

/// Where the answer to one record goes. It may be sent from any thread, once; a reply that is
/// dropped unsent gives the answer that was [left](Reply::or_else) for this case.
pub struct Reply<R: Send + 'static> {
    id: u64,
    mailbox: Sender<(u64, Answer<R>)>,
    operator: Arc<SyncActivator>,
    sent: bool,
    or_else: Option<Answer<R>>,
}

impl<R: Send + 'static> Reply<R> {
    /// Sends the answer and wakes the operator.
    pub fn send(mut self, answer: Answer<R>) {
        self.put(answer);
    }

    /// Leaves an answer for the case that nobody gives one.
    #[must_use]
    pub fn or_else(mut self, answer: Answer<R>) -> Self {
        self.or_else = Some(answer);
        self
    }

    /// Sends a good answer.
    pub fn ok(self, record: R) {
        self.send(Answer { ok: Some(record), fault: None });
    }

    fn put(&mut self, answer: Answer<R>) {
        self.sent = true;
        // The mailbox has room for every record in work, and both calls fail only when the
        // dataflow was dropped: then nobody waits for the answer.
        let _ = self.mailbox.try_send((self.id, answer));
        let _ = self.operator.activate();
    }
}

impl<R: Send + 'static> Drop for Reply<R> {
    fn drop(&mut self) {
        if !self.sent {
            let answer = self.or_else.take().unwrap_or(Answer { ok: None, fault: None });
            self.put(answer);
        }
    }
}

/// Where the answers to an operator's records arrive.
pub struct Mailbox<R: Send + 'static> {
    sender: Sender<(u64, Answer<R>)>,
    answers: Receiver<(u64, Answer<R>)>,
    operator: Arc<SyncActivator>,
}

impl<R: Send + 'static> Mailbox<R> {
    /// A mailbox that wakes `operator`, with room for the answers to `at_most` records.
    pub fn new(operator: SyncActivator, at_most: usize) -> Self {
        let (sender, answers) = bounded(at_most.max(1));
        Self { sender, answers, operator: Arc::new(operator) }
    }

    /// A reply to the record `id`.
    pub fn reply(&self, id: u64) -> Reply<R> {
        let (mailbox, operator) = (self.sender.clone(), Arc::clone(&self.operator));
        Reply { id, mailbox, operator, sent: false, or_else: None }
    }

    /// The next answer, if one is there, and whose it is.
    pub fn take(&self) -> Option<(u64, Answer<R>)> {
        self.answers.try_recv().ok()
    }
}

struct InWork<R> {
    oks: Capability<Tick>,
    errs: Capability<Tick>,
    /// When a record that counts came in.
    since: Option<Instant>,
    answer: Option<Answer<R>>,
}

/// Builds the operator `name`, which has at most `at_most` records in work at a time and keeps
/// the others back in order. Those that `counts` passes are in the metrics. `submit` must not block.
///
/// Gives the answers and the faults, each at the time of its record.
pub fn offload<'scope, D, R>(
    stream: Stream<'scope, Tick, Vec<D>>,
    name: &str,
    at_most: usize,
    metrics: Arc<OperatorMetrics>,
    counts: impl Fn(&D) -> bool + 'static,
    mut submit: impl FnMut(D, Reply<R>) + 'static,
) -> OksAndErrs<'scope, R>
where
    D: Clone + 'static,
    R: Clone + Send + 'static,
{
    let scope = stream.scope();
    let mut builder = OperatorBuilder::new(name.to_owned(), scope);
    let address = builder.operator_info().address.to_vec();
    let operator = scope.worker().sync_activator_for(address);
    let mut input = builder.new_input(stream, Pipeline);
    let (oks, oks_stream) = builder.new_output::<Vec<R>>();
    let (errs, errs_stream) = builder.new_output::<Vec<Fault>>();
    let mut oks = OutputBuilder::from(oks);
    let mut errs = OutputBuilder::from(errs);

    builder.build(move |initial| {
        drop(initial);
        let at_most = at_most.max(1);
        let mailbox = Mailbox::new(operator, at_most);
        let mut next_id = 0;
        let mut in_work: BTreeMap<u64, InWork<R>> = BTreeMap::new();
        let mut backlog: VecDeque<(D, InWork<R>)> = VecDeque::new();
        move |_frontiers| {
            let _busy = metrics.busy();
            input.for_each(|capability, records| {
                let (Some(oks), Some(errs)) =
                    (capability.retain_least(0), capability.retain_least(1))
                else {
                    return;
                };
                for record in records.drain(..) {
                    let (oks, errs) = (oks.clone(), errs.clone());
                    let since = counts(&record).then(Instant::now);
                    metrics.took(usize::from(since.is_some()));
                    backlog.push_back((record, InWork { oks, errs, since, answer: None }));
                }
            });
            let mut oks = oks.activate();
            let mut errs = errs.activate();
            while let Some((id, answer)) = mailbox.take() {
                let Some(held) = in_work.get_mut(&id) else { continue };
                if let Some(since) = held.since {
                    metrics.gave(since.elapsed());
                }
                held.answer = Some(answer);
            }
            while let Some(first) = in_work.first_entry()
                && first.get().answer.is_some()
            {
                let held = first.remove();
                let Some(answer) = held.answer else { continue };
                if let Some(record) = answer.ok {
                    oks.session(&held.oks).give(record);
                }
                if let Some(fault) = answer.fault {
                    errs.session(&held.errs).give(fault);
                }
            }
            while in_work.len() < at_most
                && let Some((record, held)) = backlog.pop_front()
            {
                let id = next_id;
                next_id += 1;
                in_work.insert(id, held);
                submit(record, mailbox.reply(id));
            }
        }
    });
    (oks_stream, errs_stream)
}
