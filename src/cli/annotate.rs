//! Drawing what was seen: a picture and marks go in, the picture with boxes and labels comes out.
//!
//! A track keeps its colour in every picture. The font is DejaVu Sans, which is part of the
//! program.

use ab_glyph::{FontRef, PxScale};
use image::{Rgb, RgbImage};
use imageproc::drawing::{draw_filled_rect_mut, draw_hollow_rect_mut, draw_text_mut, text_size};
use imageproc::rect::Rect;
use vigil_models::BBox;

/// An object to draw.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mark {
    /// Its class.
    pub(super) class_name: String,
    /// Its track; `None` for none.
    pub(super) track_id: Option<i64>,
    /// 0..=1.
    pub(super) confidence: f32,
    /// Where it is, pixels.
    pub(super) bbox_in_frame: BBox,
}

impl Mark {
    /// `person #12 0.87`.
    fn label(&self) -> String {
        let track = self.track_id.map_or_else(String::new, |id| format!(" #{id}"));
        format!("{}{track} {:.2}", self.class_name, self.confidence)
    }

    fn colour(&self) -> Rgb<u8> {
        Rgb(self.track_id.map_or(GREY, colour_of))
    }
}

/// Colours far apart from each other, light enough for black letters.
const PALETTE: [[u8; 3]; 12] = [
    [255, 99, 71],
    [64, 224, 208],
    [255, 215, 0],
    [154, 205, 50],
    [255, 160, 220],
    [100, 170, 255],
    [255, 165, 0],
    [0, 230, 118],
    [206, 147, 255],
    [240, 230, 140],
    [0, 200, 255],
    [255, 138, 128],
];

/// What has no track.
const GREY: [u8; 3] = [190, 190, 190];

/// Draws every mark, in the order given: later ones lie above.
pub(super) fn draw(picture: &mut RgbImage, marks: &[Mark]) {
    let font = match FontRef::try_from_slice(dejavu::sans::bold()) {
        Ok(font) => Some(font),
        Err(error) => {
            tracing::warn!(%error, "the font is not usable; labels are left out");
            None
        }
    };
    let thickness = (picture.width().min(picture.height()) / 300).max(1);
    for mark in marks {
        draw_box(picture, &mark.bbox_in_frame, mark.colour(), thickness);
    }
    // Labels lie above all boxes, so that none is crossed out; the uppermost mark chooses first.
    let Some(font) = &font else { return };
    let mut taken = vec![];
    for mark in marks.iter().rev() {
        draw_label(picture, mark, font, &mut taken);
    }
}

fn colour_of(track_id: i64) -> [u8; 3] {
    let colours = PALETTE.len() as i64;
    PALETTE[track_id.rem_euclid(colours) as usize]
}

/// The box's outline, `thickness` pixels inwards from its edges.
fn draw_box(picture: &mut RgbImage, bbox: &BBox, colour: Rgb<u8>, thickness: u32) {
    let inside = bbox.clipped(picture.width() as f32, picture.height() as f32);
    let (left, top) = (inside.x1.round() as i32, inside.y1.round() as i32);
    let (width, height) = (inside.width().round() as u32, inside.height().round() as u32);
    for ring in 0..thickness {
        let (Some(width), Some(height)) =
            (width.checked_sub(2 * ring), height.checked_sub(2 * ring))
        else {
            return;
        };
        if width == 0 || height == 0 {
            return;
        }
        let at = Rect::at(left + ring as i32, top + ring as i32).of_size(width, height);
        draw_hollow_rect_mut(picture, at, colour);
    }
}

/// The label near its box, beside those that are there already; none when the box is not in the
/// picture.
fn draw_label(picture: &mut RgbImage, mark: &Mark, font: &FontRef<'_>, taken: &mut Vec<Rect>) {
    let (width, height) = picture.dimensions();
    let bbox = mark.bbox_in_frame.clipped(width as f32, height as f32);
    if bbox.area() == 0.0 {
        return;
    }
    let letters = PxScale::from((height as f32 / 44.0).clamp(11.0, 40.0));
    let label = mark.label();
    let (text_width, _) = text_size(letters, font, &label);
    let size = (text_width + 4, letters.y.ceil() as u32 + 2);
    let place = place(&bbox, size, (width, height), taken);
    draw_filled_rect_mut(picture, place, mark.colour());
    let (left, top) = (place.left() + 2, place.top() + 1);
    draw_text_mut(picture, Rgb([0, 0, 0]), left, top, letters, font, &label);
    taken.push(place);
}

/// Where a label of `size` goes: above its box, else higher, below or inside, wherever it is in the
/// picture and covers no label in `taken`; above (or inside, at the top) when nothing is free.
fn place(bbox: &BBox, size: (u32, u32), picture: (u32, u32), taken: &[Rect]) -> Rect {
    let most_left = i64::from(picture.0) - i64::from(size.0);
    let left = (bbox.x1.round() as i64).min(most_left).max(0) as i32;
    let height = size.1 as i32;
    let (top, bottom) = (bbox.y1.round() as i32, bbox.y2.round() as i32);
    let at = |top: i32| Rect::at(left, top).of_size(size.0, size.1);
    let inside_picture = |rect: &Rect| rect.top() >= 0 && rect.bottom() < picture.1 as i32;
    [top - height, top - 2 * height, bottom, top, bottom + height, bottom - height]
        .into_iter()
        .map(at)
        .filter(inside_picture)
        .find(|rect| taken.iter().all(|other| rect.intersect(*other).is_none()))
        .unwrap_or_else(|| at(if top >= height { top - height } else { top }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(track_id: Option<i64>, x1: f32, y1: f32, x2: f32, y2: f32) -> Mark {
        let bbox_in_frame = BBox::new(x1, y1, x2, y2);
        Mark { class_name: "person".into(), track_id, confidence: 0.874, bbox_in_frame }
    }

    #[test]
    fn labels_say_class_track_and_confidence() {
        assert_eq!(mark(Some(12), 0.0, 0.0, 1.0, 1.0).label(), "person #12 0.87");
        assert_eq!(mark(None, 0.0, 0.0, 1.0, 1.0).label(), "person 0.87");
    }

    #[test]
    fn a_box_is_drawn_on_its_edges_in_the_tracks_colour() {
        let mut picture = RgbImage::new(300, 200);
        draw(&mut picture, &[mark(Some(3), 50.0, 80.0, 150.0, 180.0)]);
        let colour = Rgb(colour_of(3));
        for (x, y) in [(50, 100), (149, 100), (100, 179), (60, 80)] {
            assert_eq!(picture.get_pixel(x, y), &colour, "{x}, {y}");
        }
        // Nothing inside the box or below it; letters in the label above it.
        assert_eq!(picture.get_pixel(100, 130), &Rgb([0, 0, 0]));
        assert_eq!(picture.get_pixel(100, 190), &Rgb([0, 0, 0]));
        let label = |x, y| picture.get_pixel(x, y);
        let labelled = (66..80).flat_map(|y| (50..120).map(move |x| (x, y)));
        let filled = labelled.clone().filter(|(x, y)| label(*x, *y) == &colour).count();
        let dark = labelled.filter(|(x, y)| label(*x, *y).0.iter().all(|c| *c < 60)).count();
        assert!(filled > 200 && dark > 50, "{filled} filled, {dark} dark");
    }

    #[test]
    fn labels_make_room_for_each_other() {
        let bbox = BBox::new(50.0, 80.0, 90.0, 180.0);
        let mut taken = vec![];
        let mut tops = vec![];
        for _ in 0..4 {
            let rect = place(&bbox, (100, 14), (300, 200), &taken);
            tops.push(rect.top());
            taken.push(rect);
        }
        assert_eq!(tops, [66, 52, 180, 80]);
        let at_the_edge = place(&BBox::new(290.0, 5.0, 300.0, 20.0), (60, 14), (300, 200), &[]);
        assert_eq!((at_the_edge.left(), at_the_edge.top()), (240, 20));
    }

    #[test]
    fn marks_at_and_beyond_the_edges_do_not_fail() {
        let mut picture = RgbImage::new(40, 30);
        draw(
            &mut picture,
            &[
                mark(None, -20.0, -20.0, 60.0, 60.0),
                mark(Some(-1), 39.0, 29.0, 40.0, 30.0),
                mark(Some(i64::MAX), 10.0, 10.0, 10.0, 10.0),
                mark(Some(1), 100.0, 100.0, 200.0, 200.0),
            ],
        );
        assert_eq!(picture.get_pixel(0, 29), &Rgb(GREY));
    }
}
