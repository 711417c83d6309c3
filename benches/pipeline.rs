//! `make bench-pipeline`: the whole pipeline against the bare ONNX Runtime session, and memory
//! over ten thousand frames.
//!
//! * `pipeline_over_session`: frames a second of `vtest.avi` from file to visible rows (YOLOv8n
//!   float32 at 640×640, IoU tracker, no captions) over runs a second of the bare session on one
//!   letterboxed tensor, with as many threads, in turn A B A B; the median of the pairs' ratios.
//! * `freshness_over_session`: the median time from a frame's leaving the decoder to its rows'
//!   being visible over the bare session's median run, from the same pairs. A frame leaves the
//!   decoder when the network is free for it; that it was decoded earlier is not counted.
//! * `memory_growth_mb`: how much the resident size grows from the 1,000th frame of a load
//!   generator to the 10,000th, at most, megabytes of 10⁶ bytes.
//! * `idle_cpu_percent`: what `vigil serve` uses of one core over ten seconds after a source of a
//!   load generator has ended, with a client connected.
//!
//! `BENCH_PARTS=idle,memory,session` runs some of it. The machine drifts, so only ratios of one run mean anything.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio_postgres::NoTls;
use vigil::decode::{self, Read};
use vigil::source::{SourceDefaults, SourceSpec};
use vigil::{Engine, EngineConfig};
use vigil_models::Registry;
use vigil_models::backend::{Input, Session, SessionOptions};
use vigil_sql::{CreateSource, Engine as _, Origin, SourceStatistics};

/// Pairs of a run of the bare session and a run of the pipeline.
const PAIRS: usize = 5;
/// Runs of the bare session in a pair.
const SESSION_RUNS: usize = 200;
/// Side of the square input, pixels.
const SIDE: usize = 640;
/// Objects and frames of the load generator.
const OBJECTS: u32 = 20;
const FRAMES: i64 = 10_000;
/// The frame after which memory counts.
const WARM_FRAMES: i64 = 1_000;
/// How long the idle server is watched.
const IDLE: Duration = Duration::from_secs(10);
/// Linux's unit of a process's times in `/proc`, a second's hundredth on every machine.
const TICKS_A_SECOND: f64 = 100.0;

fn main() -> Result<()> {
    let root = vigil_test_data::top_level();
    let models =
        std::env::var_os("VIGIL_MODELS").map_or_else(|| root.join(".vigil/models"), PathBuf::from);
    let video = root.join(".vigil/videos/vtest.avi");
    let threads = std::thread::available_parallelism()?.get();

    let parts = std::env::var("BENCH_PARTS").unwrap_or_else(|_| "idle,memory,session".to_owned());
    let is_asked_for = |part: &str| parts.split(',').any(|asked| asked == part);
    let idle = is_asked_for("idle").then(idle_cpu_percent).transpose()?;
    let growth =
        is_asked_for("memory").then(|| memory_growth(&root, &models, threads)).transpose()?;
    let has_model = models.join("yolov8n/model.onnx").is_file();
    if !is_asked_for("session") {
        eprintln!("The session is not measured.");
    } else if has_model && video.is_file() {
        let (throughput, freshness) = against_session(&root, &models, &video, threads)?;
        figure("pipeline_over_session", throughput, "ratio");
        figure("freshness_over_session", freshness, "ratio");
    } else {
        eprintln!(
            "pipeline_over_session and freshness_over_session are not measured: they need \
             yolov8n in {} and {}; run \"make setup\"",
            models.display(),
            video.display()
        );
    }
    if let Some(growth) = growth {
        figure("memory_growth_mb", growth, "MB");
    }
    if let Some(idle) = idle {
        figure("idle_cpu_percent", idle, "%");
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "figures are what the bench is for")]
fn figure(name: &str, value: f64, unit: &str) {
    println!("figure {name} {value:.3} {unit}");
}

fn engine(root: &Path, models: &Path, data: &Path, threads: usize) -> Result<Arc<Engine>> {
    Ok(Engine::start(EngineConfig {
        data: data.display().to_string(),
        models_dir: models.to_owned(),
        workers: 1,
        inference_threads: threads,
        defaults: SourceDefaults::default(),
        base_dir: root.to_owned(),
        places: Default::default(),
    })?)
}

fn options(options: &[(&str, &str)]) -> Vec<(String, String)> {
    options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Throughput and freshness of the pipeline over the bare session's.
fn against_session(root: &Path, models: &Path, video: &Path, threads: usize) -> Result<(f64, f64)> {
    let registry = Registry::open(models)?;
    let file = registry.file(registry.entry("yolov8n")?, "model.onnx")?;
    let mut session = Session::open(
        "yolov8n",
        &file,
        SessionOptions { intra_threads: threads, ..SessionOptions::default() },
    )?;
    let tensor = letterboxed_first_frame(video)?;
    let data = tempfile::tempdir()?;
    let engine = engine(root, models, data.path(), threads)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;

    // Both sides run once to be warm; that is not counted.
    bare_runs(&mut session, &tensor, 20)?;
    pipeline(&engine, &runtime, video, "warm")?;

    let (mut throughputs, mut freshnesses) = (Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        let bare = bare_runs(&mut session, &tensor, SESSION_RUNS)?;
        let (rate, statistics) = pipeline(&engine, &runtime, video, &format!("pair{pair}"))?;
        let latency = statistics.latency_p50_ms.context("no latency was measured")?;
        let (bare_rate, bare_ms) = (bare.rate, bare.median_ms);
        eprintln!(
            "pair {pair}: session {bare_rate:.2} runs/s, median {bare_ms:.2} ms; pipeline \
             {rate:.2} frames/s, median latency {latency:.2} ms"
        );
        throughputs.push(rate / bare_rate);
        freshnesses.push(latency / bare_ms);
    }
    Ok((median(throughputs), median(freshnesses)))
}

/// The video's first frame as the network takes it: 3×640×640, 0..=1, padded with grey. The nearest
/// pixel is good enough to time a network with.
fn letterboxed_first_frame(video: &Path) -> Result<Vec<f32>> {
    let statement = create(video, "tensor");
    let spec = SourceSpec::from_statement(&statement, &SourceDefaults::default(), Path::new("/"))?;
    let Read::Frame(frame) = decode::open(&spec)?.read() else { bail!("no first frame") };
    let (width, height) = (frame.image.width() as usize, frame.image.height() as usize);
    let longest = width.max(height);
    let (scaled_width, scaled_height) = (width * SIDE / longest, height * SIDE / longest);
    let (left, top) = ((SIDE - scaled_width) / 2, (SIDE - scaled_height) / 2);
    let mut tensor = vec![114.0 / 255.0; 3 * SIDE * SIDE];
    for y in 0..scaled_height {
        for x in 0..scaled_width {
            let pixel = (y * longest / SIDE * width + x * longest / SIDE) * 3;
            for channel in 0..3 {
                let value = f32::from(frame.image.rgb()[pixel + channel]) / 255.0;
                tensor[(channel * SIDE + y + top) * SIDE + x + left] = value;
            }
        }
    }
    Ok(tensor)
}

fn create(video: &Path, name: &str) -> CreateSource {
    CreateSource {
        name: name.to_owned(),
        origin: Origin::Url(video.display().to_string()),
        options: options(&[
            ("detector", "yolov8n"),
            // The bare session runs the square graph.
            ("rect", "false"),
            ("tracker", "iou"),
            ("captioner", "none"),
            ("embedder", "none"),
        ]),
    }
}

struct Bare {
    rate: f64,
    median_ms: f64,
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred runs")]
fn bare_runs(session: &mut Session, tensor: &[f32], runs: usize) -> Result<Bare> {
    let shape = [1, 3, SIDE, SIDE];
    let mut times = Vec::with_capacity(runs);
    let start = Instant::now();
    for _ in 0..runs {
        let run = Instant::now();
        session.run(&[Input::f32("images", &shape, tensor)])?;
        times.push(run.elapsed().as_secs_f64() * 1000.0);
    }
    let rate = runs as f64 / start.elapsed().as_secs_f64();
    Ok(Bare { rate, median_ms: median(times) })
}

/// Frames a second from file to visible rows, and what the source counted.
#[expect(clippy::cast_precision_loss, reason = "hundreds of frames")]
fn pipeline(
    engine: &Arc<Engine>,
    runtime: &tokio::runtime::Runtime,
    video: &Path,
    name: &str,
) -> Result<(f64, SourceStatistics)> {
    let source = create(video, name);
    runtime.block_on(async {
        let start = Instant::now();
        engine.create_source(source).await?;
        engine.wait_for_source(name, None).await?;
        let seconds = start.elapsed().as_secs_f64();
        let statistics = engine.source(name)?.statistics();
        engine.drop_source(name).await?;
        Ok((statistics.frames_processed as f64 / seconds, statistics))
    })
}

/// Growth of the resident size between two points of a long source.
fn memory_growth(root: &Path, models: &Path, threads: usize) -> Result<f64> {
    let data = tempfile::tempdir()?;
    let engine = engine(root, models, data.path(), threads)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let generator = [
        ("objects", OBJECTS.to_string()),
        ("frames", FRAMES.to_string()),
        ("width", "640".to_owned()),
        ("height", "480".to_owned()),
        ("seed", "7".to_owned()),
    ];
    let source = CreateSource {
        name: "boxes".to_owned(),
        origin: Origin::LoadGenerator {
            name: "moving_boxes".to_owned(),
            options: generator.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        },
        options: options(&[("captioner", "none"), ("embedder", "none")]),
    };
    runtime.block_on(async {
        engine.create_source(source).await?;
        let source = engine.source("boxes")?;
        let (mut before, mut most) = (None, 0.0_f64);
        while !source.state().borrow().is_final() {
            let frames = source.statistics().frames_processed;
            if frames >= WARM_FRAMES {
                let now = resident_mb()?;
                before.get_or_insert(now);
                most = most.max(now);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let statistics = source.statistics();
        if statistics.frames_processed != FRAMES {
            bail!("{} of {FRAMES} frames were processed", statistics.frames_processed);
        }
        let before = before.context("the source ended before memory was read")?;
        most = most.max(resident_mb()?);
        eprintln!(
            "load generator: {:.0} frames/s, {} detections, resident {before:.0} MB after {WARM_FRAMES} \
             frames, at most {most:.0} MB until {FRAMES}",
            statistics.frames_per_second, statistics.detections
        );
        Ok(most - before)
    })
}

/// A server; dropping it stops it.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The share of one core that a real server uses when all of its sources have ended.
fn idle_cpu_percent() -> Result<f64> {
    let home = tempfile::tempdir()?;
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let server = Command::new(env!("CARGO_BIN_EXE_vigil"))
        .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data", "data"])
        .current_dir(home.path())
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut server = Server(server);
    let says = server.0.stdout.take().context("no output")?;
    // Its last line is said when it listens.
    let ready =
        BufReader::new(says).lines().map_while(Result::ok).any(|line| line.contains("stop"));
    if !ready {
        bail!("the server did not start");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let address = format!("postgresql://vigil@127.0.0.1:{port}/vigil");
        let (client, connection) = tokio_postgres::connect(&address, NoTls).await?;
        let connection = tokio::spawn(connection);
        client
            .batch_execute(
                "CREATE SOURCE boxes FROM LOAD GENERATOR MOVING_BOXES (frames = 1000)
                    WITH (captioner = 'none', embedder = 'none');
                 WAIT FOR SOURCE boxes",
            )
            .await?;
        let before = cpu_ticks(server.0.id())?;
        tokio::time::sleep(IDLE).await;
        let used = cpu_ticks(server.0.id())? - before;
        eprintln!("idle server: {used} hundredths of a second in {IDLE:?}");
        drop(client);
        connection.await??;
        Ok(used / TICKS_A_SECOND / IDLE.as_secs_f64() * 100.0)
    })
}

/// User and system time of a process, hundredths of a second: fields 14 and 15 of its `stat`.
fn cpu_ticks(process: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The second field, a name in parentheses, may have spaces.
    let (_, fields) = stat.rsplit_once(") ").context("no process name")?;
    let times: Vec<f64> =
        fields.split(' ').skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(times.iter().sum())
}

/// The resident size of this process, megabytes.
fn resident_mb() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).context("no VmRSS")?;
    Ok(kib.parse::<f64>()? * 1024.0 / 1e6)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}
