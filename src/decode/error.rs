//! What can go wrong while decoding: one enum, each case with a SQLSTATE and a hint.

/// An error of a video.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The file has no bytes.
    #[error("video file \"{path}\" is empty")]
    Empty {
        /// The file.
        path: String,
    },
    /// The file is nothing that FFmpeg reads.
    #[error("file \"{path}\" is not a video in a known format")]
    NotVideo {
        /// The file.
        path: String,
        /// What FFmpeg said.
        detail: String,
    },
    /// There is sound or text in it, but no picture.
    #[error("file \"{path}\" has no video stream")]
    NoVideoStream {
        /// The file.
        path: String,
    },
    /// The codec is known by name only.
    #[error("video codec \"{codec}\" cannot be decoded")]
    NoDecoder {
        /// The codec's name.
        codec: String,
        /// What FFmpeg said, if anything.
        detail: String,
    },
    /// A frame, or a part of the file, that could not be decoded.
    #[error("broken data near frame {frame_number}")]
    BrokenPacket {
        /// The frame that would have come next.
        frame_number: i64,
        /// What FFmpeg said.
        detail: String,
    },
    /// There are fewer frames than the container says: it ends early, or parts are lost.
    #[error(
        "video file \"{path}\" has only {frames} of the {expected} frames that its header names"
    )]
    Truncated {
        /// The file.
        path: String,
        /// Frames that were decoded.
        frames: i64,
        /// Frames that the container promised.
        expected: i64,
    },
    /// Too many faults without a frame in between.
    #[error("decoding given up after {faults} faults in a row near frame {frame_number}")]
    GivenUp {
        /// The number of faults.
        faults: u32,
        /// The frame that would have come next.
        frame_number: i64,
    },
    /// The operating system could not read on, or FFmpeg had no memory.
    #[error("could not read file \"{path}\"")]
    Io {
        /// The file.
        path: String,
        /// What was said.
        detail: String,
    },
}

impl DecodeError {
    /// The SQLSTATE of PostgreSQL's appendix A that fits best.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            // invalid_binary_representation: bytes that are not what they should be.
            Self::Empty { .. }
            | Self::NotVideo { .. }
            | Self::NoVideoStream { .. }
            | Self::BrokenPacket { .. }
            | Self::Truncated { .. }
            | Self::GivenUp { .. } => "22P03",
            Self::NoDecoder { .. } => "0A000",
            Self::Io { .. } => "58030",
        }
    }

    /// The longer story, a sentence, where there is one.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::NotVideo { detail, .. }
            | Self::NoDecoder { detail, .. }
            | Self::BrokenPacket { detail, .. }
            | Self::Io { detail, .. } => Some(detail.clone()),
            Self::Empty { .. }
            | Self::NoVideoStream { .. }
            | Self::Truncated { .. }
            | Self::GivenUp { .. } => None,
        }
    }

    /// What to do about it, a sentence, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Empty { .. } | Self::Truncated { .. } => {
                Some("Check that the file was copied completely.".into())
            }
            Self::NotVideo { .. } | Self::NoVideoStream { .. } => {
                Some(
                    "Any container and codec that the installed FFmpeg reads will do; an MP4 file whose \
                     end is missing has no index and cannot be read."
                        .into(),
                )
            }
            Self::NoDecoder { .. } => {
                Some("Convert the video, or install an FFmpeg that decodes it.".into())
            }
            Self::BrokenPacket { .. } | Self::GivenUp { .. } | Self::Io { .. } => None,
        }
    }

    /// The frame that it concerns, where one is known.
    pub fn frame_number(&self) -> Option<i64> {
        match self {
            Self::BrokenPacket { frame_number, .. } | Self::GivenUp { frame_number, .. } => {
                Some(*frame_number)
            }
            Self::Truncated { frames, .. } => Some(*frames),
            Self::Empty { .. }
            | Self::NotVideo { .. }
            | Self::NoVideoStream { .. }
            | Self::NoDecoder { .. }
            | Self::Io { .. } => None,
        }
    }
}
