//! Choosing the device of a session: what was asked for goes in, a session and the device it got
//! come out.
//!
//! `auto` tries CUDA where the loaded library lists it, and takes the CPU when that fails, with
//! the reason. A device asked for by name is taken or refused, never replaced.

use ort::ep::{CUDA, ExecutionProvider, ExecutionProviderDispatch, TensorRT};

use super::one_line;
use crate::ModelError;
use crate::backend::device::{Device, RunsOn};

/// The execution providers of a device, the best first; a node that none of them takes runs on the
/// CPU. A provider that cannot be had fails the session, so that nobody is served by another one
/// without knowing.
pub(super) fn providers(device: Device) -> Vec<ExecutionProviderDispatch> {
    let cuda = || CUDA::default().with_device_id(0).build().error_on_failure();
    match device {
        Device::Auto | Device::Cpu => Vec::new(),
        Device::Cuda => vec![cuda()],
        Device::Tensorrt => {
            let tensorrt = TensorRT::default().with_device_id(0).with_engine_cache(true);
            vec![tensorrt.build().error_on_failure(), cuda()]
        }
    }
}

/// Opens a session with `open` on the device `asked` for.
///
/// # Errors
/// What `bad_file` makes of an error that has nothing to do with the device, and
/// [`ModelError::NoDevice`].
pub(super) fn place<S>(
    asked: Device,
    name: &str,
    open: impl Fn(Device) -> Result<S, ort::Error>,
    bad_file: impl Fn(ort::Error) -> ModelError,
) -> Result<(S, RunsOn), ModelError> {
    let no_device = |detail: String| ModelError::NoDevice {
        name: name.to_owned(),
        device: asked.name(),
        detail,
    };
    let on =
        |session, device, reason: &str| Ok((session, RunsOn { device, reason: reason.to_owned() }));
    match asked {
        Device::Cpu => on(open(Device::Cpu).map_err(bad_file)?, Device::Cpu, "as asked"),
        Device::Cuda | Device::Tensorrt => match listed(asked) {
            Ok(()) => {
                let session = open(asked).map_err(|error| no_device(sentence(&error)))?;
                on(session, asked, "as asked")
            }
            Err(why) => Err(no_device(format!("It could not be taken: {why}."))),
        },
        Device::Auto => {
            let why = match listed(Device::Cuda) {
                Ok(()) => match open(Device::Cuda) {
                    Ok(session) => {
                        let reason = "the ONNX Runtime library and this machine have CUDA";
                        return on(session, Device::Cuda, reason);
                    }
                    Err(error) => format!("CUDA failed: {}", one_line(&error.to_string())),
                },
                Err(why) => why,
            };
            on(open(Device::Cpu).map_err(bad_file)?, Device::Cpu, &why)
        }
    }
}

/// Whether the loaded library has been built with the device's provider; if not, why it is as if
/// it had not.
fn listed(device: Device) -> Result<(), String> {
    let (provider, found) = match device {
        Device::Tensorrt => ("TensorRT", TensorRT::is_available()),
        Device::Auto | Device::Cpu | Device::Cuda => ("CUDA", CUDA::is_available()),
    };
    match found {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("the ONNX Runtime library has no {provider}")),
        Err(error) => Err(format!("it did not say: {}", one_line(&error.to_string()))),
    }
}

fn sentence(error: &ort::Error) -> String {
    format!("It said: {}.", one_line(&error.to_string()))
}
