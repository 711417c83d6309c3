//! Runs with bound tensors: borrowed tensors go in, outputs that the processor can read come out.
//!
//! On a GPU a plain run copies inputs from memory that the system may move, through a buffer of the
//! driver, and does so for each tensor anew. Here inputs lie in memory that the GPU reads by itself
//! and that is kept from run to run, their copies are queued together, and of a run only the
//! graph's outputs come back: boxes and scores, not pictures and what the layers made of them. On a
//! CPU that gains nothing; it works all the same, which is how it is tested without a GPU.

use std::fmt::Debug;

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, Session, SessionOutputs};
use ort::value::{DynTensor, PrimitiveTensorElementType, Shape};

use crate::backend::tensor::{Data, Input};

/// The device whose driver makes the memory, as elsewhere the first one.
const DEVICE_ID: i32 = 0;

/// A session's bound tensors.
pub(super) struct Bound {
    binding: IoBinding,
    /// Makes the tensors that inputs are copied to.
    inputs: Allocator,
    /// Where outputs are put.
    outputs: MemoryInfo<'static>,
    /// The graph's outputs.
    names: Vec<String>,
    /// The inputs of the run before.
    held: Vec<Held>,
}

struct Held {
    name: String,
    shape: Vec<usize>,
    tensor: DynTensor,
}

impl Bound {
    /// For a session on CUDA or TensorRT: memory that is locked in its place, so that the GPU reads
    /// and writes it by itself.
    pub(super) fn on_gpu(session: &Session) -> ort::Result<Self> {
        let pinned = |kind| {
            let device = AllocationDevice::CUDA_PINNED;
            MemoryInfo::new(device, DEVICE_ID, AllocatorType::Device, kind)
        };
        let inputs = Allocator::new(session, pinned(MemoryType::CPUInput)?)?;
        Self::new(session, inputs, pinned(MemoryType::CPUOutput)?)
    }

    /// For a session on the CPU.
    #[cfg(test)]
    pub(super) fn on_cpu(session: &Session) -> ort::Result<Self> {
        let outputs = MemoryInfo::new(
            AllocationDevice::CPU,
            DEVICE_ID,
            AllocatorType::Device,
            MemoryType::CPUOutput,
        )?;
        Self::new(session, Allocator::default(), outputs)
    }

    fn new(
        session: &Session,
        inputs: Allocator,
        outputs: MemoryInfo<'static>,
    ) -> ort::Result<Self> {
        let binding = session.create_binding()?;
        let names = session.outputs().iter().map(|output| output.name().to_owned()).collect();
        Ok(Self { binding, inputs, outputs, names, held: Vec::new() })
    }

    /// Runs the session once.
    pub(super) fn run<'b, 's: 'b>(
        &'b mut self,
        session: &'s mut Session,
        inputs: &[Input<'_>],
    ) -> ort::Result<SessionOutputs<'b>> {
        for input in inputs {
            match input.data {
                Data::F32(data) => self.put(input, data)?,
                Data::F16(data) => self.put(input, data)?,
                Data::U8(data) => self.put(input, data)?,
                Data::I64(data) => self.put(input, data)?,
            }
        }
        // Anew each time: else the run writes into the tensors of the run before, whose shapes may
        // be others.
        for name in &self.names {
            self.binding.bind_output_to_device(name.as_str(), &self.outputs)?;
        }
        self.binding.synchronize_inputs()?;
        let outputs = session.run_binding(&self.binding)?;
        self.binding.synchronize_outputs()?;
        Ok(outputs)
    }

    /// Copies an input to where the device reads it.
    fn put<T: PrimitiveTensorElementType + Copy + Debug>(
        &mut self,
        input: &Input<'_>,
        data: &[T],
    ) -> ort::Result<()> {
        let at = match self.held.iter().position(|held| held.name == input.name) {
            Some(at) if self.held[at].shape == input.shape => at,
            other => {
                let held = Held {
                    name: input.name.to_owned(),
                    shape: input.shape.to_vec(),
                    tensor: self.tensor::<T>(input.shape)?,
                };
                match other {
                    Some(at) => {
                        self.held[at] = held;
                        at
                    }
                    None => {
                        self.held.push(held);
                        self.held.len() - 1
                    }
                }
            }
        };
        let held = &mut self.held[at];
        let (_, target) = held.tensor.try_extract_tensor_mut::<T>()?;
        if target.len() != data.len() {
            return Err(ort::Error::new(format!(
                "the input \"{}\" has {} values, its shape says {}",
                input.name,
                data.len(),
                target.len()
            )));
        }
        target.copy_from_slice(data);
        self.binding.bind_input(input.name, &held.tensor)
    }

    fn tensor<T: PrimitiveTensorElementType>(&self, shape: &[usize]) -> ort::Result<DynTensor> {
        let sizes = shape.iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX));
        DynTensor::new(&self.inputs, T::into_tensor_element_type(), Shape::new(sizes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Device, Session, SessionOptions};

    fn open(relative: &str) -> Session {
        let path = vigil_test_data::top_level().join("models/tests/fixtures").join(relative);
        let options =
            SessionOptions { intra_threads: 1, device: Device::Cpu, ..SessionOptions::default() };
        Session::open("tiny", &path, options).unwrap()
    }

    fn bound(relative: &str) -> Session {
        let mut session = open(relative);
        session.bound = Some(Bound::on_cpu(&session.inner).unwrap());
        session
    }

    #[test]
    fn bound_runs_give_what_plain_runs_give_whatever_the_shapes() {
        let (mut plain, mut bound) = (open("tiny-yolo/model.onnx"), bound("tiny-yolo/model.onnx"));
        for (batch, step) in [(1, 7), (3, 11), (3, 13), (1, 5)] {
            let pixels: Vec<f32> =
                (0..batch * 3 * 64 * 64).map(|i| (i * step % 256) as f32 / 255.0).collect();
            let shape = [batch, 3, 64, 64];
            let inputs = [Input::f32("images", &shape, &pixels)];
            let expected = plain.run(&inputs).unwrap();
            let found = bound.run(&inputs).unwrap();
            assert_eq!(found.f32("output0").unwrap(), expected.f32("output0").unwrap());
            assert_eq!(found.f32("output0").unwrap().0, [batch, 6, 64]);
        }
    }

    #[test]
    fn integers_and_halves_are_bound_too() {
        let name = "tiny-bpe/model.onnx";
        let (mut plain, mut bound) = (open(name), self::bound(name));
        let ids = [0_i64, 7, 9, 2, 0, 5, 2, 1];
        let (mask, types) = ([1_i64, 1, 1, 1, 1, 1, 1, 0], [0_i64; 8]);
        let shape = [2, 4];
        let inputs = [
            Input::i64("input_ids", &shape, &ids),
            Input::i64("attention_mask", &shape, &mask),
            Input::i64("token_type_ids", &shape, &types),
        ];
        let expected = plain.run(&inputs).unwrap();
        let found = bound.run(&inputs).unwrap();
        let states = "last_hidden_state";
        assert_eq!(found.f32(states).unwrap(), expected.f32(states).unwrap());

        let (mut plain, mut bound) =
            (open("tiny-yolo/half.onnx"), self::bound("tiny-yolo/half.onnx"));
        let pixels = vec![half::f16::from_f32(0.25); 3 * 64 * 64];
        let inputs = [Input::f16("images", &[1, 3, 64, 64], &pixels)];
        let expected = plain.run(&inputs).unwrap();
        let found = bound.run(&inputs).unwrap();
        assert_eq!(found.floats("output0").unwrap(), expected.floats("output0").unwrap());
    }

    #[test]
    fn a_tensor_that_does_not_fit_its_shape_is_an_error() {
        let mut bound = bound("tiny-yolo/model.onnx");
        let error = bound.run(&[Input::f32("images", &[1, 3, 64, 64], &[0.5; 7])]).err();
        let detail = error.as_ref().and_then(|error| error.detail()).unwrap_or_default();
        assert!(detail.contains("has 7 values, its shape says 12288"), "{error:?}");
    }
}
