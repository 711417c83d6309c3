//! Decoding: a checked source goes in, numbered RGB pictures come out, one at a time.
//!
//! [`open`] gives a [`FrameReader`] for any kind of source. A reader decodes when it is asked to,
//! on the thread that asks; it keeps no queue and knows nothing of the dataflow. Only `ffmpeg.rs`
//! names FFmpeg.

mod clock;
mod error;
mod ffmpeg;
mod moving_boxes;
mod rotate;
mod sampling;

use std::sync::Arc;

use vigil_models::{BBox, Image};

pub use self::error::DecodeError;
pub use self::moving_boxes::{MovingBoxesReader, truth};
use crate::source::{SourceOrigin, SourceSpec};

/// A decoded picture and its place in the video.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Index in the video in presentation order, from 0; sampling leaves gaps.
    pub frame_number: i64,
    /// Presentation time, milliseconds from the first frame.
    pub pts_millis: i64,
    /// The picture.
    pub image: Arc<Image>,
    /// What was drawn, where it is known.
    pub truth: Option<Arc<[TruthBox]>>,
}

/// An object as it was drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TruthBox {
    /// Which object, from 0.
    pub object: u32,
    /// Its class, as COCO's 80 labels number them.
    pub class_id: u32,
    /// Where it is, in the pixels of the frame.
    pub bbox: BBox,
}

/// What a reader has to say.
#[derive(Clone, Debug)]
pub enum Read {
    /// The next frame.
    Frame(Frame),
    /// Something could not be decoded; reading goes on.
    Fault(DecodeError),
    /// There is no more.
    End,
}

/// A video that is read from front to back.
pub trait FrameReader: Send {
    /// What is known of the video.
    fn video(&self) -> &VideoInfo;

    /// The next frame, a fault, or the end; after the end always the end.
    fn read(&mut self) -> Read;
}

/// What a container says of its video.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoInfo {
    /// Width of the pictures that come out, pixels.
    pub width: u32,
    /// Height of the pictures that come out, pixels.
    pub height: u32,
    /// The video's own rate, frames a second.
    pub frame_rate: Option<f64>,
    /// Frames in the video as the container says, or an estimate from its length; before sampling.
    pub total_frames: Option<i64>,
    /// When it was recorded: microseconds since the Unix epoch.
    pub start_time_micros: Option<i64>,
    /// The codec's short name, such as `h264`.
    pub codec: String,
}

/// Opens a source for reading from its first frame.
///
/// # Errors
/// [`DecodeError`] when the file is no video or has nothing that can be decoded.
pub fn open(spec: &SourceSpec) -> Result<Box<dyn FrameReader>, DecodeError> {
    let options = &spec.options;
    match &spec.origin {
        SourceOrigin::File(path) => {
            Ok(Box::new(ffmpeg::VideoReader::open(path, options.max_width, options.fps)?))
        }
        SourceOrigin::MovingBoxes(boxes) => {
            Ok(Box::new(MovingBoxesReader::new(*boxes, options.fps)))
        }
    }
}

/// Decodes one frame again, whether `fps` takes it or not; `None` when the video has no frame of
/// that number. A file is decoded from its start, since only that numbers frames reliably.
///
/// # Errors
/// [`DecodeError`] when the file cannot be opened any more, or the frame is broken.
pub fn read_frame(spec: &SourceSpec, frame_number: i64) -> Result<Option<Frame>, DecodeError> {
    let path = match &spec.origin {
        SourceOrigin::File(path) => path,
        SourceOrigin::MovingBoxes(boxes) => {
            let number = u64::try_from(frame_number).ok().filter(|number| *number < boxes.frames);
            return number.map(|n| MovingBoxesReader::new(*boxes, None).frame(n)).transpose();
        }
    };
    let mut reader = ffmpeg::VideoReader::open(path, spec.options.max_width, None)?;
    reader.skip_to(frame_number);
    loop {
        match reader.read() {
            Read::Frame(frame) => {
                return Ok(Some(frame).filter(|frame| frame.frame_number == frame_number));
            }
            // Faults before it were told when the source was read.
            Read::Fault(_) => {}
            Read::End => return Ok(None),
        }
    }
}
