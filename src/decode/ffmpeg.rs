//! Video files through FFmpeg: the only file that names it.
//!
//! Packets are read and decoded on the caller's thread, with one decoding thread: the detector
//! wants the other cores, and one thread makes what a broken file gives the same every time.
//! Frames come in presentation order. A frame is converted to RGB (and scaled) in one pass, and
//! only when it is wanted. Nothing but local files is opened, whatever a file refers to.

use std::ffi::c_int;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Once};

use ffmpeg_next as ffmpeg;
use ffmpeg_next::codec::{self, packet, threading};
use ffmpeg_next::color;
use ffmpeg_next::ffi;
use ffmpeg_next::format::{self, Pixel, context::Input};
use ffmpeg_next::software::scaling;
use ffmpeg_next::{Dictionary, Packet, Rational, Stream, decoder, frame, media};
use vigil_models::Image;

use super::clock::Clock;
use super::sampling::Sampler;
use super::{DecodeError, Frame, FrameReader, Read, VideoInfo, rotate};

/// So many faults in a row without a frame in between, and a file is given up.
const MAX_FAULTS_IN_A_ROW: u32 = 100;

/// A video file, read from front to back.
pub(super) struct VideoReader {
    path: String,
    input: Input,
    stream: usize,
    time_base: Rational,
    decoder: decoder::Video,
    decoded: frame::Video,
    converter: Converter,
    video: VideoInfo,
    clock: Clock,
    sampler: Sampler,
    /// Earlier frames are decoded, but not given.
    first_wanted: i64,
    /// Index of the next frame.
    next: i64,
    /// Frames that the container promises, where it counts them.
    promised: Option<i64>,
    packets: i64,
    faults: u32,
    faults_in_a_row: u32,
    /// A frame whose fault is told first.
    pending: Option<Frame>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    /// All packets are read; the decoder gives what it held back.
    Draining,
    Ended,
}

impl VideoReader {
    /// Opens a file and its best video stream, to be read from the first frame on.
    pub(super) fn open(
        path: &Path,
        max_width: Option<u32>,
        fps: Option<f64>,
    ) -> Result<Self, DecodeError> {
        initialise();
        let shown = path.display().to_string();
        let input = open_input(path, &shown)?;
        let stream = video_stream(&input, &shown)?;
        let (index, time_base) = (stream.index(), stream.time_base());
        let decoder = open_decoder(&stream)?;
        let (width, height) = (decoder.width(), decoder.height());
        if width == 0 || height == 0 {
            let detail = "The size of its pictures is unknown.".into();
            return Err(DecodeError::NotVideo { path: shown, detail });
        }
        let converter = Converter::new(width, height, max_width, quarters(&stream));
        let frame_rate = [stream.avg_frame_rate(), stream.rate()].into_iter().find_map(per_second);
        let promised = Some(stream.frames()).filter(|frames| *frames > 0);
        let (width, height) = converter.turned_size();
        let video = VideoInfo {
            width,
            height,
            frame_rate,
            total_frames: promised.or_else(|| estimated_frames(&input, frame_rate)),
            start_time_micros: creation_time(&input, &stream),
            codec: decoder.codec().map_or_else(String::new, |codec| codec.name().to_owned()),
        };
        Ok(Self {
            path: shown,
            stream: index,
            time_base,
            decoder,
            decoded: frame::Video::empty(),
            converter,
            clock: Clock::new(frame_rate),
            sampler: Sampler::new(fps),
            first_wanted: 0,
            next: 0,
            promised,
            packets: 0,
            faults: 0,
            faults_in_a_row: 0,
            pending: None,
            state: State::Reading,
            video,
            input,
        })
    }

    /// Gives no frame before that number.
    pub(super) fn skip_to(&mut self, frame_number: i64) {
        self.first_wanted = frame_number;
    }

    /// The frame that the decoder just gave, if it is wanted.
    fn take_decoded(&mut self) -> Option<Read> {
        let frame_number = self.next;
        self.next += 1;
        self.faults_in_a_row = 0;
        let timestamp = self.decoded.timestamp().map(|ticks| micros(ticks, self.time_base));
        let pts_micros = self.clock.next(timestamp);
        if !self.sampler.takes(pts_micros) || frame_number < self.first_wanted {
            return None;
        }
        let damaged = self.decoded.is_corrupt() || self.decoded.has_decode_errors();
        let image = match self.converter.convert(&self.decoded) {
            Ok(image) => Arc::new(image),
            Err(detail) => return Some(self.fault(frame_number, detail)),
        };
        let pts_millis = (pts_micros + 500).div_euclid(1000);
        let frame = Frame { frame_number, pts_millis, image, truth: None };
        if !damaged {
            return Some(Read::Frame(frame));
        }
        self.pending = Some(frame);
        self.faults += 1;
        let detail = "Parts of the picture are missing and were filled in.".into();
        Some(Read::Fault(DecodeError::BrokenPacket { frame_number, detail }))
    }

    /// Gives the decoder a packet, or tells it that there are no more.
    fn feed(&mut self) -> Result<(), ffmpeg::Error> {
        let mut packet = Packet::empty();
        match packet.read(&mut self.input) {
            Ok(()) if packet.stream() == self.stream => {
                self.packets += 1;
                self.decoder.send_packet(&packet)
            }
            Ok(()) => Ok(()),
            Err(ffmpeg::Error::Eof) => {
                self.state = State::Draining;
                self.decoder.send_eof()
            }
            Err(error) => Err(error),
        }
    }

    fn fault(&mut self, frame_number: i64, detail: String) -> Read {
        self.faults += 1;
        self.faults_in_a_row += 1;
        if self.faults_in_a_row >= MAX_FAULTS_IN_A_ROW {
            self.state = State::Ended;
            return Read::Fault(DecodeError::GivenUp {
                faults: self.faults_in_a_row,
                frame_number,
            });
        }
        Read::Fault(DecodeError::BrokenPacket { frame_number, detail })
    }

    /// The end, or first the fault that it came too early.
    fn end(&mut self) -> Read {
        self.state = State::Ended;
        let expected = self.promised.unwrap_or(0);
        let missing = if self.faults > 0 {
            // Each fault told of may have cost a frame; what is missing beyond that is news.
            expected - self.next - i64::from(self.faults)
        } else {
            // A whole file may have packets without a frame of their own (edit lists, empty
            // packets), so that only missing packets count.
            expected - self.packets
        };
        if missing > 0 && self.next < expected {
            return Read::Fault(DecodeError::Truncated {
                path: self.path.clone(),
                frames: self.next,
                expected,
            });
        }
        Read::End
    }
}

impl FrameReader for VideoReader {
    fn video(&self) -> &VideoInfo {
        &self.video
    }

    fn read(&mut self) -> Read {
        if let Some(frame) = self.pending.take() {
            return Read::Frame(frame);
        }
        while self.state != State::Ended {
            let failed = match self.decoder.receive_frame(&mut self.decoded) {
                Ok(()) => {
                    if let Some(read) = self.take_decoded() {
                        return read;
                    }
                    continue;
                }
                Err(ffmpeg::Error::Eof) => return self.end(),
                Err(error) if !wants_packet(error) => Err(error),
                Err(_) if self.state == State::Draining => return self.end(),
                Err(_) => self.feed(),
            };
            if let Err(error) = failed {
                return self.fault(self.next, format!("FFmpeg said: {error}."));
            }
        }
        Read::End
    }
}

/// FFmpeg's log goes nowhere: what matters comes as an error, and a server's stderr is its own.
fn initialise() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if let Err(error) = ffmpeg::init() {
            tracing::warn!(%error, "FFmpeg could not be initialised");
        }
        ffmpeg::log::set_level(ffmpeg::log::Level::Quiet);
    });
}

fn wants_packet(error: ffmpeg::Error) -> bool {
    error == ffmpeg::Error::Other { errno: ffmpeg::error::EAGAIN }
}

fn open_input(path: &Path, shown: &str) -> Result<Input, DecodeError> {
    let io = |detail: String| DecodeError::Io { path: shown.to_owned(), detail };
    let length = fs::metadata(path).map_err(|error| io(format!("{error}.")))?.len();
    if length == 0 {
        return Err(DecodeError::Empty { path: shown.to_owned() });
    }
    // FFmpeg's binding panics on a path that is no UTF-8.
    let text = path.to_str().ok_or_else(|| io("Its path is not valid UTF-8.".into()))?;
    let mut options = Dictionary::new();
    // A playlist must not make the server open addresses.
    options.set("protocol_whitelist", "file");
    let input = format::input_with_dictionary(&format!("file:{text}"), options).map_err(
        |error| match error {
            ffmpeg::Error::Other { .. } => io(format!("FFmpeg said: {error}.")),
            _ => DecodeError::NotVideo {
                path: shown.to_owned(),
                detail: format!("FFmpeg said: {error}."),
            },
        },
    )?;
    if input.format().name() == "tty" {
        // FFmpeg would draw the letters of any text file.
        let detail = "It is a text.".into();
        return Err(DecodeError::NotVideo { path: shown.to_owned(), detail });
    }
    Ok(input)
}

fn video_stream<'a>(input: &'a Input, path: &str) -> Result<Stream<'a>, DecodeError> {
    input
        .streams()
        .best(media::Type::Video)
        // The cover of a piece of music is no video.
        .filter(|stream| !stream.disposition().contains(format::stream::Disposition::ATTACHED_PIC))
        .ok_or_else(|| DecodeError::NoVideoStream { path: path.to_owned() })
}

fn open_decoder(stream: &Stream<'_>) -> Result<decoder::Video, DecodeError> {
    let parameters = stream.parameters();
    let failed = |error: ffmpeg::Error| DecodeError::NoDecoder {
        codec: parameters.id().name().to_owned(),
        detail: format!("FFmpeg said: {error}."),
    };
    let mut context = codec::Context::from_parameters(stream.parameters()).map_err(failed)?;
    context.set_threading(threading::Config::count(1));
    let mut decoder = context.decoder();
    decoder.set_packet_time_base(stream.time_base());
    decoder.video().map_err(failed)
}

/// How far the pictures are to be turned, clockwise.
fn quarters(stream: &Stream<'_>) -> u8 {
    let matrix =
        stream.side_data().find(|data| data.kind() == packet::side_data::Type::DisplayMatrix);
    let Some(matrix) = matrix.filter(|matrix| matrix.data().len() == 9 * size_of::<i32>()) else {
        return 0;
    };
    // SAFETY: the matrix is nine aligned 32-bit integers that FFmpeg wrote and the stream owns.
    let counterclockwise = unsafe { ffi::av_display_rotation_get(matrix.data().as_ptr().cast()) };
    rotate::quarters(-counterclockwise)
}

fn per_second(rate: Rational) -> Option<f64> {
    let rate = f64::from(rate);
    // Containers without a rate give 0/0, and their time base is no rate either.
    (rate.is_finite() && rate > 0.0 && rate <= 1000.0).then_some(rate)
}

fn estimated_frames(input: &Input, frame_rate: Option<f64>) -> Option<i64> {
    let seconds = input.duration() as f64 / f64::from(ffi::AV_TIME_BASE);
    let frames = (seconds * frame_rate?).round();
    (frames > 0.0).then_some(frames as i64)
}

/// When the container says it was recorded, if it says something after 1970.
fn creation_time(input: &Input, stream: &Stream<'_>) -> Option<i64> {
    let (of_file, of_stream) = (input.metadata(), stream.metadata());
    let text = of_file.get("creation_time").or_else(|| of_stream.get("creation_time"))?;
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.timestamp_micros()).filter(|micros| *micros > 0)
}

fn micros(ticks: i64, time_base: Rational) -> i64 {
    let scale = i128::from(time_base.numerator()) * 1_000_000;
    let denominator = i128::from(time_base.denominator()).max(1);
    let micros = (i128::from(ticks) * scale + denominator / 2).div_euclid(denominator);
    i64::try_from(micros).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX })
}

/// Pictures of any pixel format to packed RGB of one size, turned upright.
struct Converter {
    /// Size before turning, pixels.
    width: u32,
    height: u32,
    quarters: u8,
    scaler: Option<Scaler>,
    /// Rows with room at their end, for widths that FFmpeg's vector code would overrun.
    padded: Vec<u8>,
}

/// A scaling context and what it was made for.
struct Scaler {
    context: scaling::Context,
    colours: (color::Space, color::Range),
}

// SAFETY: the context holds tables and buffers of its own, is used through `&mut` only, and
// libswscale ties none of it to a thread.
unsafe impl Send for Scaler {}

/// Rows of a picture whose width is a multiple of this many pixels are written in place.
const VECTOR_PIXELS: u32 = 32;

impl Converter {
    fn new(width: u32, height: u32, max_width: Option<u32>, quarters: u8) -> Self {
        let lying = quarters % 2 == 1;
        let shown_width = if lying { height } else { width };
        let wanted = max_width.map_or(shown_width, |most| most.min(shown_width));
        let scaled = |side: u32| {
            let exact = f64::from(side) * f64::from(wanted) / f64::from(shown_width);
            (exact.round() as u32).max(1)
        };
        Self {
            width: scaled(width),
            height: scaled(height),
            quarters,
            scaler: None,
            padded: Vec::new(),
        }
    }

    /// Width and height of what comes out.
    fn turned_size(&self) -> (u32, u32) {
        if self.quarters % 2 == 1 { (self.height, self.width) } else { (self.width, self.height) }
    }

    /// The picture, or in a sentence why there is none. A picture of another size than the first
    /// is scaled to it.
    fn convert(&mut self, decoded: &frame::Video) -> Result<Image, String> {
        let row = self.width as usize * 3;
        let mut rgb = vec![0; row * self.height as usize];
        if self.width.is_multiple_of(VECTOR_PIXELS) {
            self.scale(decoded, &mut rgb, row)?;
        } else {
            let padded_row = self.width.next_multiple_of(VECTOR_PIXELS) as usize * 3;
            let mut padded = std::mem::take(&mut self.padded);
            padded.resize(padded_row * self.height as usize, 0);
            let done = self.scale(decoded, &mut padded, padded_row);
            for (to, from) in rgb.chunks_exact_mut(row).zip(padded.chunks_exact(padded_row)) {
                to.copy_from_slice(&from[..row]);
            }
            self.padded = padded;
            done?;
        }
        let rgb = rotate::clockwise(rgb, self.width, self.quarters);
        let (width, height) = self.turned_size();
        Image::new(width, height, rgb).map_err(|error| error.to_string())
    }

    /// Converts into `height` rows of `stride` bytes.
    fn scale(
        &mut self,
        decoded: &frame::Video,
        to: &mut [u8],
        stride: usize,
    ) -> Result<(), String> {
        let (width, height) = (self.width, self.height);
        if to.len() < stride * height as usize || stride < width as usize * 3 {
            return Err("The picture does not fit its buffer.".into());
        }
        let stride = c_int::try_from(stride).map_err(|_| "The picture is too wide.".to_owned())?;
        let rows = c_int::try_from(decoded.height()).map_err(|error| error.to_string())?;
        let scaler = self.scaler_for(decoded)?;
        let planes =
            [to.as_mut_ptr(), std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut()];
        let strides = [stride, 0, 0, 0];
        // SAFETY: the context was made for the size and format of `decoded`, whose planes FFmpeg
        // owns; the one plane of RGB24 has `height` rows of `stride` bytes, as checked above.
        let written = unsafe {
            let from = decoded.as_ptr();
            ffi::sws_scale(
                scaler.context.as_mut_ptr(),
                (*from).data.as_ptr().cast(),
                (*from).linesize.as_ptr(),
                0,
                rows,
                planes.as_ptr(),
                strides.as_ptr(),
            )
        };
        let whole = u32::try_from(written) == Ok(height);
        whole.then_some(()).ok_or_else(|| "The picture could not be converted to RGB.".into())
    }

    /// The scaler for pictures such as `decoded`; most videos need one for all of theirs.
    fn scaler_for(&mut self, decoded: &frame::Video) -> Result<&mut Scaler, String> {
        let from = scaling::context::Definition {
            format: decoded.format(),
            width: decoded.width(),
            height: decoded.height(),
        };
        let colours = (decoded.color_space(), decoded.color_range());
        let fitting = self
            .scaler
            .take()
            .filter(|scaler| *scaler.context.input() == from && scaler.colours == colours);
        let scaler = match fitting {
            Some(scaler) => scaler,
            None => Scaler::new(from, colours, self.width, self.height)
                .map_err(|error| format!("Its pixel format cannot be converted: {error}."))?,
        };
        Ok(self.scaler.insert(scaler))
    }
}

impl Scaler {
    fn new(
        from: scaling::context::Definition,
        colours: (color::Space, color::Range),
        width: u32,
        height: u32,
    ) -> Result<Self, ffmpeg::Error> {
        let flags = scaling::Flags::BILINEAR;
        let mut context = scaling::Context::get(
            from.format,
            from.width,
            from.height,
            Pixel::RGB24,
            width,
            height,
            flags,
        )?;
        // Untagged video is taken as BT.601 of limited range, which is libswscale's own default.
        let matrix = match colours.0 {
            color::Space::BT709 => Some(ffi::SWS_CS_ITU709),
            color::Space::BT2020NCL | color::Space::BT2020CL => Some(ffi::SWS_CS_BT2020),
            color::Space::SMPTE240M => Some(ffi::SWS_CS_SMPTE240M),
            color::Space::FCC => Some(ffi::SWS_CS_FCC),
            _ => None,
        };
        let full_range = colours.1 == color::Range::JPEG;
        if matrix.is_some() || (full_range && colours.0 != color::Space::RGB) {
            // SAFETY: the context is valid, and the tables are static ones of libswscale. A format
            // that has no colour matrix (grey, RGB) makes the call return -1 and change nothing.
            unsafe {
                let table = ffi::sws_getCoefficients(matrix.unwrap_or(ffi::SWS_CS_DEFAULT));
                let full = c_int::from(full_range);
                let one = 1 << 16;
                ffi::sws_setColorspaceDetails(
                    context.as_mut_ptr(),
                    table,
                    full,
                    ffi::sws_getCoefficients(ffi::SWS_CS_DEFAULT),
                    0,
                    0,
                    one,
                    one,
                );
            }
        }
        Ok(Self { context, colours })
    }
}

#[cfg(test)]
mod tests;
