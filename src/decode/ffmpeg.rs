//! Video files through FFmpeg: this file and its folder are the only ones that name it.
//!
//! Packets are read and decoded on the caller's thread, with one decoding thread: the detector
//! wants the other cores, and one thread makes what a broken file gives the same every time.
//! Frames come in presentation order. A frame is converted to RGB (and scaled) in one pass, and
//! only when it is wanted. Nothing but local files is opened, whatever a file refers to.

mod convert;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Once};

use ffmpeg_next as ffmpeg;
use ffmpeg_next::codec::{self, packet, threading};
use ffmpeg_next::ffi;
use ffmpeg_next::format::{self, context::Input};
use ffmpeg_next::{Dictionary, Packet, Rational, Stream, decoder, frame, media};

use self::convert::Converter;
use super::clock::Clock;
use super::sampling::Sampler;
use super::{DecodeError, Frame, FrameReader, Read, VideoInfo, rotate};

/// So many faults in a row without a packet read or a frame decoded in between, and a file is given
/// up: a damaged file is read to its end, and only one that cannot be read on is left.
const MAX_FAULTS_IN_A_ROW: u32 = 100;

/// The containers and raw streams that are opened, by the first of FFmpeg's names. Others refer to
/// files of their own (playlists, lists of pictures, scripts), which would lead out of the folders
/// that SQL may read, or are no video. Sound is opened to say that it is nothing else.
const FORMATS: &str = "aac,asf,avi,av1,dv,flv,gif,h261,h263,h264,hevc,ivf,live_flv,m4v,matroska,mjpeg,\
                       mov,mp3,mpeg,mpegts,mpegvideo,mxf,nsv,nut,obu,ogg,rm,swf,vc1,vvc,wav,wtv,yuv4mpegpipe";

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
        let read = packet.read(&mut self.input);
        if read.is_ok() {
            self.faults_in_a_row = 0;
        }
        match read {
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
    options.set("format_whitelist", FORMATS);
    let input = format::input_with_dictionary(&format!("file:{text}"), options).map_err(
        |error| match error {
            // What FFmpeg says of a format that is not in the list.
            ffmpeg::Error::Other { errno: ffmpeg::error::EINVAL } => DecodeError::NotVideo {
                path: shown.to_owned(),
                detail: "It is none of the formats that are read; playlists are not.".into(),
            },
            ffmpeg::Error::Other { .. } => io(format!("FFmpeg said: {error}.")),
            _ => DecodeError::NotVideo {
                path: shown.to_owned(),
                detail: format!("FFmpeg said: {error}."),
            },
        },
    )?;
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

#[cfg(test)]
mod tests;
