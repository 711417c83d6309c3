//! Decoded pictures to RGB: any pixel format goes in; packed RGB of one size, upright, comes out.

use std::ffi::c_int;

use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling;
use ffmpeg_next::{color, ffi, frame};
use vigil_models::Image;

use crate::decode::rotate::clockwise;

/// Pictures of any pixel format to packed RGB of one size, turned upright.
pub(super) struct Converter {
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
    /// A converter for pictures of that size that come out at most `max_width` pixels wide, turned
    /// clockwise by `quarters` of a full turn.
    pub(super) fn new(width: u32, height: u32, max_width: Option<u32>, quarters: u8) -> Self {
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
    pub(super) fn turned_size(&self) -> (u32, u32) {
        if self.quarters % 2 == 1 { (self.height, self.width) } else { (self.width, self.height) }
    }

    /// The picture, or in a sentence why there is none. A picture of another size than the first
    /// is scaled to it.
    pub(super) fn convert(&mut self, decoded: &frame::Video) -> Result<Image, String> {
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
        let rgb = clockwise(rgb, self.width, self.quarters);
        let (width, height) = self.turned_size();
        Image::new(width, height, rgb).map_err(|error| error.to_string())
    }

    /// Converts into `height` rows of `stride` bytes.
    pub(super) fn scale(
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
