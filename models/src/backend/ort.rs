//! ONNX Runtime behind a small face: the only file that names the `ort` crate.
//!
//! In go a path and tensors, out come tensors. The library is loaded when the first session is
//! opened; where it is missing that is an error and is tried again with the next session. A file
//! that is no ONNX graph is refused. Nothing here panics on a bad library, file or tensor.

use std::borrow::Cow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use half::f16;
use half::slice::HalfFloatSliceExt;
use ort::environment::{Environment, ThreadManager};
use ort::logging::LogLevel;
use ort::session::{SessionInputValue, SessionOutputs};
use ort::value::{PrimitiveTensorElementType, TensorElementType, TensorRef, ValueType};

use super::device::{Device, RunsOn};
use super::library;
use super::tensor::{Data, Element, Input, SessionOptions, TensorInfo};
use crate::ModelError;

mod bound;
mod placement;

use self::bound::Bound;

/// A loaded graph. One run at a time; what runs at once is a matter of the caller's threads.
pub struct Session {
    name: String,
    inner: ort::session::Session,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    runs_on: RunsOn,
    /// Tensors that the device reads and writes by itself, where it is a GPU.
    bound: Option<Bound>,
}

impl Session {
    /// Opens the graph in the file `path` for the model `name`, which errors and threads carry.
    ///
    /// # Errors
    /// [`ModelError::Runtime`] without the library, [`ModelError::MissingFiles`] without the file,
    /// [`ModelError::BadFile`] when the file is no graph that ONNX Runtime can run,
    /// [`ModelError::NoDevice`] when the device that was asked for is not to be had.
    pub fn open(name: &str, path: &Path, options: SessionOptions) -> Result<Self, ModelError> {
        check_file(name, path)?;
        let environment = environment()?;
        let open = |device| {
            let inner = build(&environment, name, path, options.intra_threads, device)?;
            let bound = match device {
                Device::Cuda | Device::Tensorrt if options.bind => Some(Bound::on_gpu(&inner)?),
                _ => None,
            };
            Ok((inner, bound))
        };
        let bad_file = |error: ort::Error| {
            // Some of ONNX Runtime's messages have several lines; an error here has one.
            let message = error.to_string();
            ModelError::BadFile { file: path.display().to_string(), detail: one_line(&message) }
        };
        let ((inner, bound), runs_on) = placement::place(options.device, name, open, bad_file)?;
        tracing::info!(model = name, device = %runs_on.device, reason = runs_on.reason, "opened");
        let inputs = inner.inputs().iter().map(|outlet| info(outlet.name(), outlet.dtype()));
        let outputs = inner.outputs().iter().map(|outlet| info(outlet.name(), outlet.dtype()));
        let (inputs, outputs) = (inputs.collect(), outputs.collect());
        Ok(Self { name: name.into(), inner, inputs, outputs, runs_on, bound })
    }

    /// The model's name, as given to [`Session::open`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The device that it runs on, and why.
    pub fn runs_on(&self) -> &RunsOn {
        &self.runs_on
    }

    /// The graph's inputs, in its order.
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    /// The graph's outputs, in its order.
    pub fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    /// The input `name`, which must have this type and shape (`None`: any size).
    ///
    /// # Errors
    /// [`ModelError::WrongTensors`], saying what was expected and what the graph has.
    pub fn expect_input(
        &self,
        name: &str,
        element: Element,
        shape: &[Option<usize>],
    ) -> Result<&TensorInfo, ModelError> {
        self.expect("input", &self.inputs, name, element, shape)
    }

    /// The output `name`, which must have this type and shape (`None`: any size).
    ///
    /// # Errors
    /// [`ModelError::WrongTensors`], saying what was expected and what the graph has.
    pub fn expect_output(
        &self,
        name: &str,
        element: Element,
        shape: &[Option<usize>],
    ) -> Result<&TensorInfo, ModelError> {
        self.expect("output", &self.outputs, name, element, shape)
    }

    fn expect<'a>(
        &self,
        side: &str,
        tensors: &'a [TensorInfo],
        name: &str,
        element: Element,
        shape: &[Option<usize>],
    ) -> Result<&'a TensorInfo, ModelError> {
        let found = tensors.iter().find(|tensor| tensor.name == name);
        if let Some(found) = found.filter(|found| found.fits(&element, shape)) {
            return Ok(found);
        }
        let all: Vec<String> = tensors.iter().map(TensorInfo::to_string).collect();
        let expected = TensorInfo { name: name.into(), element, shape: shape.to_vec() };
        let detail =
            format!("The graph's {side} {expected} was expected, found {}.", all.join(", "));
        Err(ModelError::WrongTensors { name: self.name.clone(), detail })
    }

    /// Runs the graph once on borrowed tensors, without copying them on a CPU.
    ///
    /// # Errors
    /// [`ModelError::Run`] when ONNX Runtime refuses the tensors or fails.
    pub fn run(&mut self, inputs: &[Input<'_>]) -> Result<Outputs<'_>, ModelError> {
        let name = &self.name;
        let fail = |error: ort::Error| run_error(name, &error.to_string());
        if let Some(bound) = &mut self.bound {
            let outputs = bound.run(&mut self.inner, inputs).map_err(fail)?;
            return Ok(Outputs { name, inner: outputs });
        }
        let mut values: Vec<(&str, SessionInputValue<'_>)> = Vec::with_capacity(inputs.len());
        for input in inputs {
            let value = match input.data {
                Data::F32(data) => TensorRef::from_array_view((input.shape, data)).map(Into::into),
                Data::F16(data) => TensorRef::from_array_view((input.shape, data)).map(Into::into),
                Data::U8(data) => TensorRef::from_array_view((input.shape, data)).map(Into::into),
                Data::I64(data) => TensorRef::from_array_view((input.shape, data)).map(Into::into),
            };
            values.push((input.name, value.map_err(fail)?));
        }
        let outputs = self.inner.run(values).map_err(fail)?;
        Ok(Outputs { name, inner: outputs })
    }
}

/// What a run gave, by name, as long as the session is not run again.
pub struct Outputs<'s> {
    name: &'s str,
    inner: SessionOutputs<'s>,
}

impl Outputs<'_> {
    /// The output `name`: its shape and its floats, row-major.
    ///
    /// # Errors
    /// [`ModelError::Run`] when there is none of that name or it holds no floats.
    pub fn f32(&self, name: &str) -> Result<(Vec<usize>, &[f32]), ModelError> {
        self.tensor(name)
    }

    /// The output `name`: its shape and its integers, row-major.
    ///
    /// # Errors
    /// [`ModelError::Run`] when there is none of that name or it holds no 64-bit integers.
    pub fn i64(&self, name: &str) -> Result<(Vec<usize>, &[i64]), ModelError> {
        self.tensor(name)
    }

    fn tensor<T: PrimitiveTensorElementType>(
        &self,
        name: &str,
    ) -> Result<(Vec<usize>, &[T]), ModelError> {
        let value = self
            .inner
            .get(name)
            .ok_or_else(|| run_error(self.name, &format!("the run gave no \"{name}\"")))?;
        let (shape, data) = value
            .try_extract_tensor::<T>()
            .map_err(|error| run_error(self.name, &error.to_string()))?;
        Ok((sizes(shape), data))
    }

    /// Whether there is an output `name`.
    pub fn has(&self, name: &str) -> bool {
        self.inner.contains_key(name)
    }

    /// As [`Outputs::f32`], from float32 or float16.
    ///
    /// # Errors
    /// [`ModelError::Run`] when there is none of that name or it holds neither.
    pub fn floats(&self, name: &str) -> Result<(Vec<usize>, Cow<'_, [f32]>), ModelError> {
        let half = self.inner.get(name).and_then(|value| value.try_extract_tensor::<f16>().ok());
        if let Some((shape, data)) = half {
            return Ok((sizes(shape), Cow::Owned(data.to_f32_vec())));
        }
        let (shape, data) = self.f32(name)?;
        Ok((shape, Cow::Borrowed(data)))
    }
}

/// A negative dimension cannot be in a tensor that exists.
fn sizes(shape: &[i64]) -> Vec<usize> {
    shape.iter().map(|&size| usize::try_from(size).unwrap_or(0)).collect()
}

fn run_error(name: &str, message: &str) -> ModelError {
    ModelError::Run { name: name.into(), detail: one_line(message) }
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What can be told without ONNX Runtime: the file is there, is a file, and has something in it.
fn check_file(name: &str, path: &Path) -> Result<(), ModelError> {
    let bad = |detail: &str| {
        let file = path.display().to_string();
        Err(ModelError::BadFile { file, detail: detail.into() })
    };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let detail = format!("The file \"{}\" does not exist.", path.display());
            Err(ModelError::MissingFiles { name: name.into(), detail })
        }
        Err(error) => bad(&format!("The file cannot be read: {error}.")),
        Ok(metadata) if !metadata.is_file() => bad("It is not a file."),
        Ok(metadata) if metadata.len() == 0 => bad("The file is empty."),
        Ok(_) => Ok(()),
    }
}

fn build(
    environment: &Environment,
    name: &str,
    path: &Path,
    intra_threads: usize,
    device: Device,
) -> Result<ort::session::Session, ort::Error> {
    let threads = PoolThreads { name: format!("ort-{name}"), started: AtomicUsize::new(0) };
    ort::session::Session::builder(environment)?
        .with_execution_providers(placement::providers(device))?
        .with_intra_threads(intra_threads.max(1))?
        .with_thread_manager(threads)?
        // A thread of the pool that waits for the next operation spins only briefly, and not at
        // all between two runs: on cores that also decode and answer queries, ONNX Runtime's own
        // milliseconds of spinning take the time that the run needs. YOLOv8n with 2 threads on 2
        // cores beside other work: 20 us 72 ms, 200 us 94 ms, the default 104 ms; 0 us 76 ms.
        .with_config_entry("session.intra_op.spin_duration_us", "20")?
        .with_config_entry("session.force_spinning_stop", "1")?
        // Smaller blocks towards the end of an operation, so that a thread which was held up does
        // not hold up the others: beside other work 63 ms instead of 76 ms.
        .with_dynamic_block_base(4)?
        .commit_from_file(path)
}

fn info(name: &str, dtype: &ValueType) -> TensorInfo {
    let (element, shape) = match dtype {
        ValueType::Tensor { ty, shape, .. } => {
            let element = match ty {
                TensorElementType::Float32 => Element::F32,
                TensorElementType::Float16 => Element::F16,
                TensorElementType::Uint8 => Element::U8,
                TensorElementType::Int64 => Element::I64,
                other => Element::Other(other.to_string()),
            };
            (element, shape.iter().map(|&size| usize::try_from(size).ok()).collect())
        }
        other => (Element::Other(other.to_string()), Vec::new()),
    };
    TensorInfo { name: name.into(), element, shape }
}

/// Starts the threads of a session's pool, so that they have names.
struct PoolThreads {
    name: String,
    started: AtomicUsize,
}

impl ThreadManager for PoolThreads {
    type Thread = std::thread::JoinHandle<()>;

    fn create(&self, work: impl FnOnce() + Send + 'static) -> ort::Result<Self::Thread> {
        let number = self.started.fetch_add(1, Ordering::Relaxed) + 1;
        std::thread::Builder::new()
            .name(format!("{}-{number}", self.name))
            .spawn(work)
            .map_err(ort::Error::wrap)
    }

    fn join(thread: Self::Thread) -> ort::Result<()> {
        thread.join().map_err(|_| ort::Error::new("a thread of the pool panicked"))
    }
}

/// The process's one environment. It stays once it is there; a failure is not remembered, so that
/// a library that was installed meanwhile is found.
fn environment() -> Result<Environment, ModelError> {
    static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    match &*environment {
        Some(environment) => Ok(environment.clone()),
        None => {
            let loaded = load()?;
            Ok(environment.insert(loaded).clone())
        }
    }
}

fn load() -> Result<Environment, ModelError> {
    let search = library::search();
    let mut said = Vec::new();
    for path in &search.candidates {
        let built = match ort::init_from(path) {
            Ok(builder) => builder
                .with_name("vigil")
                .with_telemetry(false)
                .with_logger(Arc::new(log))
                .build()
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match built {
            Ok(environment) => {
                environment.set_log_level(LogLevel::Warning);
                tracing::debug!(path = %path.display(), "loaded ONNX Runtime");
                return Ok(environment);
            }
            Err(error) => said.push(one_line(&error)),
        }
    }
    let detail = if said.is_empty() {
        let folders: Vec<String> =
            search.looked_at.iter().map(|folder| folder.display().to_string()).collect();
        let variable = library::VARIABLE;
        format!("{variable} is not set, and there is none in {}.", folders.join(", "))
    } else {
        format!("{}.", said.join("; "))
    };
    Err(ModelError::Runtime { detail })
}

/// ONNX Runtime's own log lines, passed on to the program's log.
fn log(level: LogLevel, category: &str, _id: &str, location: &str, message: &str) {
    match level {
        LogLevel::Fatal | LogLevel::Error => {
            tracing::error!(target: "onnxruntime", category, location, "{message}");
        }
        LogLevel::Warning => tracing::warn!(target: "onnxruntime", category, location, "{message}"),
        LogLevel::Info => tracing::info!(target: "onnxruntime", category, location, "{message}"),
        LogLevel::Verbose => {
            tracing::trace!(target: "onnxruntime", category, location, "{message}");
        }
    }
}
