//! The load generator: drawn frames with known ground truth, the same on every machine.
//!
//! Each object is a coloured rectangle that is there in every frame, moves in a straight line at
//! its own speed and bounces off the edges. It moves by less than a tenth of its size a frame, so
//! that consecutive boxes overlap. Later objects are drawn over earlier ones; the truth tells the
//! whole box of each, hidden or not. All arithmetic is in integers (1/16 pixel).

use std::sync::Arc;

use vigil_models::{BBox, Image};

use super::sampling::Sampler;
use super::{DecodeError, Frame, FrameReader, Read, TruthBox, VideoInfo};
use crate::source::MovingBoxes;

/// The classes of the objects in turn, as COCO's 80 labels number them.
const CLASSES: [u32; 3] = [0, 2, 1];

/// Parts of a pixel in which positions are counted.
const PARTS: i64 = 16;

/// Draws frame after frame.
pub struct MovingBoxesReader {
    boxes: MovingBoxes,
    video: VideoInfo,
    objects: Vec<Object>,
    background: Vec<u8>,
    sampler: Sampler,
    next: u64,
}

impl MovingBoxesReader {
    /// A reader from the first frame on, that takes at most `fps` frames a second.
    pub fn new(boxes: MovingBoxes, fps: Option<f64>) -> Self {
        let video = VideoInfo {
            width: boxes.width,
            height: boxes.height,
            frame_rate: Some(boxes.fps),
            total_frames: i64::try_from(boxes.frames).ok(),
            start_time_micros: None,
            codec: "moving_boxes".into(),
        };
        Self {
            objects: objects(&boxes),
            background: background(&boxes),
            sampler: Sampler::new(fps),
            next: 0,
            video,
            boxes,
        }
    }

    /// The frame of that number, drawn.
    ///
    /// # Errors
    /// [`DecodeError`] only when the sides of the picture are no sides of a picture.
    pub fn frame(&self, number: u64) -> Result<Frame, DecodeError> {
        let truth: Arc<[TruthBox]> =
            self.objects.iter().map(|object| object.at(&self.boxes, number)).collect();
        let mut rgb = self.background.clone();
        for (object, truth) in self.objects.iter().zip(truth.iter()) {
            fill(&mut rgb, self.boxes.width, &truth.bbox, object.colour);
        }
        let image = Image::new(self.boxes.width, self.boxes.height, rgb).map_err(|error| {
            DecodeError::NoDecoder {
                codec: self.video.codec.clone(),
                detail: error.detail().unwrap_or_default().to_owned(),
            }
        })?;
        Ok(Frame {
            frame_number: i64::try_from(number).unwrap_or(i64::MAX),
            pts_millis: (number as f64 * 1e3 / self.boxes.fps).round() as i64,
            image: Arc::new(image),
            truth: Some(truth),
        })
    }
}

impl FrameReader for MovingBoxesReader {
    fn video(&self) -> &VideoInfo {
        &self.video
    }

    fn read(&mut self) -> Read {
        while self.next < self.boxes.frames {
            let number = self.next;
            self.next += 1;
            if self.sampler.takes((number as f64 * 1e6 / self.boxes.fps).round() as i64) {
                return self.frame(number).map_or_else(Read::Fault, Read::Frame);
            }
        }
        Read::End
    }
}

/// The objects of a frame, in order of their numbers: a function of its arguments alone.
pub fn truth(boxes: &MovingBoxes, frame_number: u64) -> Vec<TruthBox> {
    objects(boxes).iter().map(|object| object.at(boxes, frame_number)).collect()
}

/// What one object is drawn from; positions, sizes and speeds in 1/16 pixel.
#[derive(Clone, Debug)]
struct Object {
    number: u32,
    class_id: u32,
    colour: [u8; 3],
    size: (i64, i64),
    start: (i64, i64),
    step: (i64, i64),
}

impl Object {
    fn at(&self, boxes: &MovingBoxes, frame_number: u64) -> TruthBox {
        let place = |start: i64, step: i64, size: i64, side: u32| {
            let room = i64::from(side) * PARTS - size;
            bounce(start, step, frame_number, room) / PARTS
        };
        // Rounded to whole pixels: the truth is what is drawn.
        let (x, y) = (
            place(self.start.0, self.step.0, self.size.0, boxes.width) as f32,
            place(self.start.1, self.step.1, self.size.1, boxes.height) as f32,
        );
        let (w, h) = ((self.size.0 / PARTS) as f32, (self.size.1 / PARTS) as f32);
        TruthBox {
            object: self.number,
            class_id: self.class_id,
            bbox: BBox::new(x, y, x + w, y + h),
        }
    }
}

/// Where a point is after `frames` steps between 0 and `room`, turning round at both ends.
fn bounce(start: i64, step: i64, frames: u64, room: i64) -> i64 {
    let period = i128::from(room.max(1)) * 2;
    let way = (i128::from(start) + i128::from(step) * i128::from(frames)).rem_euclid(period);
    // Both are at most twice the side of a frame in 1/16 pixel.
    way.min(period - way) as i64
}

fn objects(boxes: &MovingBoxes) -> Vec<Object> {
    (0..boxes.objects)
        .map(|number| {
            let mut random = Random::new(boxes.seed, u64::from(number));
            let class = number as usize % CLASSES.len();
            let (width, height) = (i64::from(boxes.width), i64::from(boxes.height));
            // Persons are upright, cars and bicycles lie.
            let (wide, tall) = if class == 0 { (20, 8) } else { (10, 12) };
            let w = random.between(width / wide, width / (wide / 2)).max(4);
            let h = random.between(height / tall, height / (tall / 2)).max(4);
            let mut step = |size: i64| {
                let step = random.between(size * PARTS / 96, size * PARTS / 12).max(1);
                if random.next() & 1 == 0 { step } else { -step }
            };
            let step = (step(w), step(h));
            Object {
                number,
                class_id: CLASSES[class],
                colour: [0; 3].map(|_| random.between(64, 255) as u8),
                size: (w * PARTS, h * PARTS),
                start: (
                    random.between(0, (width - w) * PARTS),
                    random.between(0, (height - h) * PARTS),
                ),
                step,
            }
        })
        .collect()
}

/// Grey tiles with grain: enough texture that a compressed frame is no flat colour.
fn background(boxes: &MovingBoxes) -> Vec<u8> {
    let mut grain = Random::new(boxes.seed, u64::MAX);
    let mut rgb = Vec::with_capacity(boxes.width as usize * boxes.height as usize * 3);
    for y in 0..boxes.height {
        for x in 0..boxes.width {
            let tile = if (x / 32 + y / 32) % 2 == 0 { 88 } else { 104 };
            let grey = tile + (grain.next() % 16) as u8;
            rgb.extend_from_slice(&[grey, grey, grey]);
        }
    }
    rgb
}

fn fill(rgb: &mut [u8], width: u32, bbox: &BBox, colour: [u8; 3]) {
    let stride = width as usize * 3;
    let columns = bbox.x1 as usize * 3..bbox.x2 as usize * 3;
    for row in rgb.chunks_exact_mut(stride).take(bbox.y2 as usize).skip(bbox.y1 as usize) {
        for pixel in row[columns.clone()].chunks_exact_mut(3) {
            pixel.copy_from_slice(&colour);
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): a few lines that give the same numbers for ever.
struct Random(u64);

impl Random {
    fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from `least` to `most`, both included.
    fn between(&mut self, least: i64, most: i64) -> i64 {
        let span = (most - least).max(0) as u64 + 1;
        least + (self.next() % span) as i64
    }
}

#[cfg(test)]
mod tests;
