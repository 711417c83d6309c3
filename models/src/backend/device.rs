//! Where a graph runs: what was asked for goes in, what was taken and why comes out.

use std::fmt;

/// A place for a graph to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Device {
    /// CUDA when the loaded ONNX Runtime and the machine have it, else the CPU.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The first NVIDIA GPU, by ONNX Runtime's CUDA execution provider.
    Cuda,
    /// The first NVIDIA GPU, by ONNX Runtime's TensorRT execution provider; what TensorRT does not
    /// take runs on CUDA.
    Tensorrt,
}

impl Device {
    /// Every device, as options name them.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Cpu, Self::Cuda, Self::Tensorrt];

    /// Its name in options, SQL and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Tensorrt => "tensorrt",
        }
    }

    /// The device of that name, upper or lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|device| device.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The device that a session got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunsOn {
    /// Never [`Device::Auto`].
    pub device: Device,
    /// Why this one, a clause: `as asked`, `the ONNX Runtime library has no CUDA`.
    pub reason: String,
}

impl fmt::Display for RunsOn {
    /// `cpu (the ONNX Runtime library has no CUDA)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.device, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_devices() {
        for device in Device::ALL {
            assert_eq!(Device::from_name(&device.name().to_uppercase()), Some(device));
        }
        assert_eq!(Device::from_name("tpu"), None);
    }
}
