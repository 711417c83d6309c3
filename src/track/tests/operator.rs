//! The operator `track` in a dataflow, with a tracker that asks and lookers that answer late.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use timely::dataflow::Stream;
use timely::dataflow::operators::probe::Handle;
use timely::dataflow::operators::vec::UnorderedInput;
use timely::dataflow::operators::{Inspect, Probe};
use vigil_models::{BBox, Detection, Image, ModelError, TrackPair};

use crate::dataflow::clock::Tick;
use crate::dataflow::gate::{Admitted, Arrival, Gate};
use crate::dataflow::metrics::DataflowMetrics;
use crate::decode::Frame;
use crate::detect::{DetectedFrame, Step};
use crate::fault::{Fault, Stage};
use crate::source::Mode;
use crate::track::{
    Appearance, AppearanceReply, Assignment, CameraMotion, FrameInput, Linking, Looker, Needs,
    TrackId, TrackedFrame, Tracker, track,
};

const FRAMES: u8 = 9;

/// What a tracker was told of a frame: its number, the first value of each appearance, how far the
/// camera moved, and the links.
type Told = (i64, Vec<Option<f32>>, Option<f32>, Vec<f32>);

/// A tracker that asks for everything and writes down what it is told.
struct Asks {
    told: Arc<Mutex<Vec<Told>>>,
    links: Vec<f32>,
}

impl Tracker for Asks {
    fn name(&self) -> &'static str {
        "asks"
    }

    fn needs(&mut self, frame: &FrameInput<'_>) -> Needs {
        let place = [f64::from(frame.detections[0].bbox.x1), 0.0, 0.0];
        Needs {
            appearance: (0..).take(frame.detections.len()).collect(),
            camera_motion: true,
            links: vec![TrackPair { earlier: vec![place], later: Vec::new() }],
        }
    }

    fn linked(&mut self, probabilities: &[f32]) {
        self.links = probabilities.to_vec();
    }

    fn update_into(&mut self, frame: &FrameInput<'_>, out: &mut Assignment) {
        let features = frame.features.iter().map(|feature| Some(feature.as_ref()?[0])).collect();
        let moved = frame.motion.map(|motion| motion.x[2]);
        let links = std::mem::take(&mut self.links);
        self.told.lock().unwrap().push((frame.frame_number, features, moved, links));
        out.clear();
        out.tracks.resize(frame.detections.len(), Some(TrackId(1 + frame.frame_number)));
    }

    fn finish_into(&mut self, out: &mut Assignment) {
        out.clear();
        self.told.lock().unwrap().push((-1, Vec::new(), None, Vec::new()));
    }
}

/// Frames whose pixels, boxes and numbers tell which they are; all have two boxes.
fn frames(source: u8) -> Vec<DetectedFrame> {
    let gate = Gate::new(Mode::Lossless, FRAMES.into(), usize::MAX);
    let admitted = |n: u8| -> Admitted {
        let image = Image::new(64, 64, vec![n; 64 * 64 * 3]).unwrap();
        let frame = Frame {
            frame_number: n.into(),
            pts_millis: i64::from(n) * 40,
            image: Arc::new(image),
            truth: None,
        };
        gate.offer(frame).unwrap();
        match gate.take() {
            Arrival::Frame(frame) => frame,
            other => panic!("{other:?}"),
        }
    };
    let found = |n: u8, y: f32| Detection {
        class_id: 0,
        confidence: 0.9,
        bbox: BBox::new(f32::from(n), y, f32::from(n) + 8.0, y + 8.0),
    };
    let of = |n: u8| {
        let y = f32::from(10 * source);
        DetectedFrame {
            frame: admitted(n),
            detections: Some([found(n, y), found(n, y + 1.0)].into()),
        }
    };
    (0..FRAMES).map(of).collect()
}

/// What an appearance looks like: which source, frame and box it is.
fn vector(bbox: &BBox) -> Vec<f32> {
    vec![100.0 * bbox.y1 + bbox.x1]
}

/// Requests that wait until the test answers them.
type Requests = Receiver<(Vec<BBox>, AppearanceReply)>;

/// A network that answers when the test says so.
fn network() -> (Appearance, Requests) {
    let (requests, waiting) = bounded(1);
    let appearance: Appearance = Box::new(move |_image, boxes, reply| {
        requests.send((boxes, reply)).unwrap();
        Ok(())
    });
    (appearance, waiting)
}

fn failed() -> ModelError {
    ModelError::Run { name: "fake".to_owned(), detail: "it fails".to_owned() }
}

fn looker(appearance: Appearance) -> Looker {
    let linking: Linking = Box::new(|pairs: Vec<TrackPair>| {
        #[expect(clippy::cast_possible_truncation, reason = "the number of a frame")]
        let number = pairs[0].earlier[0][0] as f32;
        if number == 4.0 { Err(failed()) } else { Ok(vec![number / 10.0]) }
    });
    let motion = Box::new(|image: &Image| {
        let x = [1.0, 0.0, image.rgb()[0].into()];
        Some(CameraMotion { x, ..CameraMotion::NONE })
    });
    Looker::start("test", Some(appearance), Some(linking), motion).unwrap()
}

/// What came out of an operator.
#[derive(Default)]
struct Out {
    frames: Arc<Mutex<Vec<(Tick, TrackedFrame)>>>,
    faults: Arc<Mutex<Vec<(Tick, Fault)>>>,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Out {
    /// The frames come out in order, each with its own boxes and tracks, none is lost or twice.
    fn is_whole(&self) {
        let frames = self.frames.lock().unwrap();
        let numbers: Vec<i64> = frames.iter().map(|(_, frame)| frame.frame.frame_number).collect();
        assert_eq!(numbers, (0..FRAMES.into()).collect::<Vec<i64>>());
        for (tick, frame) in frames.iter() {
            let number = frame.frame.frame_number;
            assert_eq!(*tick, tick_of(number));
            assert_eq!(frame.tracks[..], [Some(TrackId(1 + number)); 2]);
            assert_eq!(frame.ts_micros, 1_000_000 + number * 40_000);
        }
        let told = self.told.lock().unwrap();
        let told: Vec<i64> = told.iter().map(|told| told.0).collect();
        assert_eq!(told, (0..FRAMES.into()).chain([-1]).collect::<Vec<i64>>(), "then the end");
    }
}

fn tick_of(number: i64) -> Tick {
    10 + 3 * Tick::try_from(number).unwrap()
}

/// Keeps the records of a stream, with their times, as they come.
fn keep<'scope, D: Clone + 'static>(
    stream: Stream<'scope, Tick, Vec<D>>,
    kept: &Arc<Mutex<Vec<(Tick, D)>>>,
) -> Stream<'scope, Tick, Vec<D>> {
    let kept = Arc::clone(kept);
    stream.inspect_core(move |event| {
        if let Ok((stamp, records)) = event {
            let tick = *stamp.least().unwrap();
            kept.lock().unwrap().extend(records.iter().map(|record| (tick, record.clone())));
        }
    })
}

/// What the network of a source says of a frame; nothing when the request is dropped.
type Says = fn(u8, i64, &[BBox]) -> Option<Result<Vec<Vec<f32>>, ModelError>>;

/// Runs an operator a source, all in one dataflow. Frames go in from the last to the first. Where
/// networks leave requests, they are answered when every source waits for one, the last source's
/// first.
fn run(lookers: Vec<Looker>, networks: Vec<Requests>, says: Says) -> Vec<Out> {
    timely::execute_directly(move |worker| {
        let outs: Vec<Out> = lookers.iter().map(|_| Out::default()).collect();
        let probe = Handle::new();
        let metrics = DataflowMetrics::default();
        let mut inputs = Vec::new();
        for (out, looker) in outs.iter().zip(lookers) {
            inputs.push(worker.dataflow::<Tick, _, _>(|scope| {
                let (input, steps) = scope.new_unordered_input();
                let tracker = Box::new(Asks { told: Arc::clone(&out.told), links: Vec::new() });
                let made = track(steps, tracker, Some(looker), 1_000_000, &metrics);
                keep(made.frames, &out.frames).probe_with(&probe);
                keep(made.faults, &out.faults).probe_with(&probe);
                input
            }));
        }
        let come_out = |outs: &[Out]| -> usize {
            outs.iter().map(|out| out.frames.lock().unwrap().len()).sum()
        };
        let mut now = tick_of(FRAMES.into()) + 1;
        let mut open = Vec::new();
        for ((mut input, first), source) in inputs.into_iter().zip(0..) {
            open.push(first.delayed(&now));
            let end = first.delayed(&tick_of(FRAMES.into()));
            input.activate().session(&end).give(Step::End);
            for frame in frames(source).into_iter().rev() {
                let tick = first.delayed(&tick_of(frame.frame.frame_number));
                input.activate().session(&tick).give(Step::Frame(frame));
                worker.step();
            }
            assert_eq!(come_out(&outs), 0, "an earlier frame may still come");
        }
        let mut asked = Vec::new();
        while !probe.done() {
            worker.step_or_park(Some(Duration::from_millis(1)));
            if come_out(&outs) == outs.len() * usize::from(FRAMES) {
                open.clear();
            }
            for (network, source) in networks.iter().zip(0..) {
                asked.extend(network.try_recv().map(|request| (source, request)));
            }
            if networks.is_empty() || asked.len() < networks.len() {
                continue;
            }
            let before = come_out(&outs);
            for _ in 0..10 {
                // A frontier that moves wakes the operators.
                now += 1;
                open.iter_mut().for_each(|open| *open = open.delayed(&now));
                worker.step();
            }
            assert_eq!(come_out(&outs), before, "no frame goes on without its answer");
            for (source, (boxes, reply)) in asked.drain(..).rev() {
                #[expect(clippy::cast_possible_truncation, reason = "the number of a frame")]
                let number = boxes[0].x1 as i64;
                if let Some(result) = says(source, number, &boxes) {
                    reply(result);
                }
            }
        }
        outs
    })
}

/// What the tracker of a source is told of a frame when nothing fails.
fn expected(source: u8, n: u8) -> Told {
    let y = f32::from(10 * source);
    let x = f32::from(n);
    let features = vec![Some(100.0 * y + x), Some(100.0 * (y + 1.0) + x)];
    let links = if n == 4 { Vec::new() } else { vec![x / 10.0] };
    (n.into(), features, Some(x), links)
}

/// Two sources, whose answers come late and the second's first.
#[test]
fn frames_wait_for_their_answers_and_leave_in_order() {
    let (appearances, networks): (Vec<_>, Vec<_>) = (0..2).map(|_| network()).unzip();
    let lookers = appearances.into_iter().map(looker).collect();
    let outs = run(lookers, networks, |_, _, boxes| Some(Ok(boxes.iter().map(vector).collect())));
    for (out, source) in outs.iter().zip(0..) {
        out.is_whole();
        let told = out.told.lock().unwrap();
        for n in 0..FRAMES {
            assert_eq!(told[usize::from(n)], expected(source, n), "source {source}");
        }
        // The linking network fails at one frame, which is said and goes on without links.
        let faults = out.faults.lock().unwrap();
        let [(tick, fault)] = &faults[..] else { panic!("{faults:?}") };
        assert_eq!((*tick, fault.frame_number, fault.stage), (tick_of(4), Some(4), Stage::Track));
        assert_eq!(fault.sqlstate, failed().sqlstate());
    }
}

/// A frame at which the network fails, or that it forgets, goes on without appearances and is
/// told of; the other answers are still those of their own frames.
#[test]
fn a_looker_that_fails_loses_no_frame() {
    let (appearance, network) = network();
    let outs = run(vec![looker(appearance)], vec![network], |_, number, boxes| match number {
        2 | 3 => Some(Err(failed())),
        6 => None,
        _ => Some(Ok(boxes.iter().map(vector).collect())),
    });
    let out = &outs[0];
    out.is_whole();
    let told = out.told.lock().unwrap();
    for n in 0..FRAMES {
        let (number, mut features, moved, links) = expected(0, n);
        if [2, 3, 6].contains(&n) {
            features.clear();
        }
        assert_eq!(told[usize::from(n)], (number, features, moved, links));
    }
    let faults = out.faults.lock().unwrap();
    let faults: Vec<_> = faults
        .iter()
        .map(|(tick, fault)| (*tick, fault.frame_number, fault.sqlstate.as_str()))
        .collect();
    let run = failed().sqlstate();
    let of = |number: i64, sqlstate| (tick_of(number), Some(number), sqlstate);
    assert_eq!(faults, [of(2, run), of(3, run), of(4, run), of(6, "53000")]);
}

/// A network that takes no request at all, as when its queue is full.
#[test]
fn a_network_that_refuses_every_frame_loses_none() {
    let refuses: Appearance =
        Box::new(|_, _, _| Err(ModelError::QueueFull { name: "fake".to_owned(), capacity: 1 }));
    let outs = run(vec![looker(refuses)], Vec::new(), |_, _, _| None);
    outs[0].is_whole();
    let faults = outs[0].faults.lock().unwrap();
    let numbers: Vec<_> = faults.iter().filter_map(|(_, fault)| fault.frame_number).collect();
    assert_eq!(numbers, (0..FRAMES.into()).collect::<Vec<i64>>());
    assert!(faults.iter().all(|(_, fault)| fault.sqlstate == "53000"), "{faults:?}");
}
