//! The worker without a network: order, batches, a full queue, failures, panics and stopping.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::pool::{Opening, Pool};
use super::starter::Starter;
use super::worker::{Kind, Worker};
use super::{InferenceService, OpenOptions, ServiceOptions};
use crate::manifest::{ModelEntry, Task};
use crate::{ModelError, Registry};

/// A model that gives numbers back, and does what else it is asked to.
struct Echo;

enum Ask {
    Number(u32),
    Fail,
    Panic,
    /// Says that it runs, then waits for the other end to be dropped.
    Hold(Sender<()>, Receiver<()>),
}

impl Kind for Echo {
    const TASK: Task = Task::Detector;
    type Model = ();
    type Facts = ();
    type Request = Ask;
    type Answer = u32;

    fn open(
        _: &Registry,
        _: &ModelEntry,
        _: &ServiceOptions,
        _: OpenOptions,
    ) -> Result<((), ()), ModelError> {
        Ok(((), ()))
    }

    fn run(_: &mut (), _: &(), requests: &[Ask]) -> Result<Vec<u32>, ModelError> {
        let answer = |ask: &Ask| match ask {
            Ask::Number(number) => Ok(*number),
            Ask::Fail => Err(ModelError::Run { name: "echo".into(), detail: "as asked".into() }),
            Ask::Panic => panic!("as asked"),
            Ask::Hold(running, release) => {
                running.send(()).unwrap();
                release.recv().unwrap_err();
                Ok(0)
            }
        };
        requests.iter().map(answer).collect()
    }
}

fn registry() -> Arc<Registry> {
    Arc::new(Registry::open(std::path::Path::new("no models here")).unwrap())
}

fn worker(options: ServiceOptions) -> Worker<Echo> {
    let registry = registry();
    Worker::start(&registry, registry.entry("yolov8n").unwrap(), &options, OpenOptions::default())
        .unwrap()
}

/// Keeps the worker's thread busy until what comes back is dropped.
fn hold(worker: &Worker<Echo>) -> Sender<()> {
    let (running, is_running) = bounded(1);
    let (release, released) = bounded(1);
    worker.submit(Ask::Hold(running, released), Box::new(|_, _| ())).unwrap();
    is_running.recv().unwrap();
    release
}

type Log = Arc<Mutex<Vec<Result<u32, ModelError>>>>;

fn submit(worker: &Worker<Echo>, ask: Ask, log: &Log) -> Result<(), ModelError> {
    let log = Arc::clone(log);
    worker.submit(ask, Box::new(move |answer, _| log.lock().unwrap().push(answer)))
}

#[test]
fn waiting_requests_share_runs_and_are_answered_in_order() {
    let worker = worker(ServiceOptions { max_batch: 4, ..ServiceOptions::default() });
    let release = hold(&worker);
    let log = Log::default();
    for number in 0..6 {
        submit(&worker, Ask::Number(number), &log).unwrap();
    }
    assert_eq!(worker.loaded().queued, 6);
    drop(release);
    assert_eq!(worker.ask(Ask::Number(9)).unwrap(), 9);
    let answers: Vec<u32> = log.lock().unwrap().drain(..).map(Result::unwrap).collect();
    assert_eq!(answers, [0, 1, 2, 3, 4, 5]);
    let loaded = worker.loaded();
    // The held one; four; two, with or without the last one.
    assert!((3..=4).contains(&loaded.runs), "{loaded:?}");
    assert_eq!((loaded.items, loaded.failed, loaded.queued), (8, 0, 0));
    assert_eq!(&*loaded.id, "yolov8n:1");
}

#[test]
fn a_run_waits_for_company_no_longer_than_it_is_full() {
    let options =
        ServiceOptions { max_batch: 2, max_wait: Duration::from_secs(600), ..Default::default() };
    let worker = worker(options);
    let log = Log::default();
    submit(&worker, Ask::Number(1), &log).unwrap();
    assert_eq!(worker.ask(Ask::Number(2)).unwrap(), 2);
    assert_eq!(worker.loaded().runs, 1);
}

#[test]
fn a_full_queue_is_an_error_at_once() {
    let worker = worker(ServiceOptions { queue: 2, ..ServiceOptions::default() });
    let release = hold(&worker);
    let log = Log::default();
    submit(&worker, Ask::Number(1), &log).unwrap();
    submit(&worker, Ask::Number(2), &log).unwrap();
    let full = submit(&worker, Ask::Number(3), &log);
    assert!(matches!(full, Err(ModelError::QueueFull { capacity: 2, .. })), "{full:?}");
    drop(release);
    assert_eq!(worker.ask(Ask::Number(4)).unwrap(), 4);
    assert_eq!(log.lock().unwrap().len(), 2);
}

#[test]
fn a_failure_is_its_requests_own() {
    let worker = worker(ServiceOptions { max_batch: 4, ..ServiceOptions::default() });
    let release = hold(&worker);
    let log = Log::default();
    for ask in [Ask::Number(1), Ask::Fail, Ask::Panic, Ask::Number(2)] {
        submit(&worker, ask, &log).unwrap();
    }
    drop(release);
    assert_eq!(worker.ask(Ask::Number(3)).unwrap(), 3, "the thread goes on");
    let answers = log.lock().unwrap();
    assert_eq!(answers[0].as_ref().unwrap(), &1);
    assert_eq!(answers[1].as_ref().unwrap_err().detail(), Some("as asked"));
    assert_eq!(answers[2].as_ref().unwrap_err().detail(), Some("it panicked: as asked"));
    assert_eq!(answers[3].as_ref().unwrap(), &2);
}

#[test]
fn a_reply_that_panics_harms_nobody_else() {
    let worker = worker(ServiceOptions::default());
    worker.submit(Ask::Number(1), Box::new(|_, _| panic!("as asked"))).unwrap();
    assert_eq!(worker.ask(Ask::Number(2)).unwrap(), 2);
}

#[test]
fn stopping_answers_what_waits() {
    let worker = Arc::new(worker(ServiceOptions::default()));
    let release = hold(&worker);
    let (answer, answered) = unbounded();
    for number in 0..3 {
        let answer = answer.clone();
        let reply = Box::new(move |result, _| answer.send(result).unwrap());
        worker.submit(Ask::Number(number), reply).unwrap();
    }
    drop(answer);
    let stopping = {
        let worker = Arc::clone(&worker);
        std::thread::Builder::new().name("stopper".into()).spawn(move || worker.stop()).unwrap()
    };
    // Once a new request is refused for this reason, the waiting ones can no longer be run; until
    // then the queue may be full.
    let ask = || worker.submit(Ask::Number(7), Box::new(|_, _| ()));
    while !matches!(ask(), Err(ModelError::Stopping)) {
        std::thread::yield_now();
    }
    drop(release);
    stopping.join().unwrap();
    let answers: Vec<Result<u32, ModelError>> = answered.iter().collect();
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(|answer| matches!(answer, Err(ModelError::Stopping))));
    assert!(matches!(worker.ask(Ask::Number(8)), Err(ModelError::Stopping)));
}

fn worker_of(pool: &Pool<Echo>, name: &str) -> Arc<Worker<Echo>> {
    let (options, starter) = (ServiceOptions::default(), Starter::new());
    let opening = Opening { registry: registry(), options: &options, starter: &starter };
    pool.get(&opening, name, OpenOptions::default()).unwrap()
}

#[test]
fn a_starter_runs_what_it_is_given_elsewhere_and_survives_a_panic() {
    let starter = Starter::new();
    let here = std::thread::current().id();
    assert_eq!(starter.run(move || std::thread::current().id() == here), Some(false));
    assert_eq!(starter.run(|| -> u32 { panic!("on purpose") }), None);
    assert_eq!(starter.run(|| 7), Some(7));
}

#[test]
fn the_last_owner_may_be_a_reply() {
    let pool: Arc<Pool<Echo>> = Arc::default();
    let worker = worker_of(&pool, "yolov8n");
    let release = hold(&worker);
    let (done, is_done) = bounded(1);
    let reply = Box::new(move |_, _| {
        drop(pool);
        done.send(()).unwrap();
    });
    worker.submit(Ask::Number(1), reply).unwrap();
    drop((release, worker));
    is_done.recv().unwrap();
}

#[test]
fn a_pool_has_one_worker_for_a_model_however_it_is_named() {
    let pool = Pool::<Echo>::default();
    let (first, second) = (worker_of(&pool, "yolov8n"), worker_of(&pool, "yolov8n:1"));
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(pool.loaded().len(), 1);
}

#[test]
fn names_and_tasks_are_checked() {
    let service = InferenceService::new(registry(), ServiceOptions::default());
    let unknown = service.detector("yolov7").err();
    assert!(matches!(unknown, Some(ModelError::UnknownModel { .. })), "{unknown:?}");
    let wrong = service.detector("all-minilm-l6-v2-int8").err().unwrap();
    let message = "model \"all-minilm-l6-v2-int8\" has the task embedder, not detector";
    assert_eq!((wrong.to_string().as_str(), wrong.sqlstate()), (message, "42809"));
    assert!(wrong.hint().unwrap().contains("vigil models list"), "{wrong:?}");
    let missing = service.detector("yolov8n").err();
    assert!(matches!(missing, Some(ModelError::MissingFiles { .. })), "{missing:?}");
    assert!(service.loaded().is_empty());
}

/// A model that counts how often it was opened.
struct Opened;

static OPENINGS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

impl Kind for Opened {
    const TASK: Task = Task::Embedder;
    type Model = u32;
    type Facts = ();
    type Request = ();
    type Answer = u32;

    fn open(
        _: &Registry,
        _: &ModelEntry,
        _: &ServiceOptions,
        _: OpenOptions,
    ) -> Result<(u32, ()), ModelError> {
        let before = OPENINGS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if before == 1 {
            return Err(ModelError::Runtime { detail: "not this time".into() });
        }
        Ok((before + 1, ()))
    }

    fn run(model: &mut u32, _: &(), requests: &[()]) -> Result<Vec<u32>, ModelError> {
        Ok(vec![*model; requests.len()])
    }
}

#[test]
fn what_nothing_uses_is_let_go_and_opened_again() {
    let (registry, forever) = (registry(), ServiceOptions::default());
    let options = ServiceOptions { keep_loaded: Duration::from_millis(1), ..forever };
    let worker = Worker::<Opened>::start(
        &registry,
        registry.entry("yolov8n").unwrap(),
        &options,
        OpenOptions::default(),
    )
    .unwrap();
    let until_unloaded = || {
        while worker.loaded().resident {
            std::thread::yield_now();
        }
    };
    until_unloaded();
    let failed = worker.ask(());
    assert!(matches!(failed, Err(ModelError::Runtime { .. })), "{failed:?}");
    assert_eq!(worker.ask(()).unwrap(), 3, "a failure is not remembered");
    until_unloaded();
    assert_eq!(worker.ask(()).unwrap(), 4);
    let loaded = worker.loaded();
    assert_eq!((loaded.items, loaded.failed, loaded.latency.count), (3, 1, 3));
}
