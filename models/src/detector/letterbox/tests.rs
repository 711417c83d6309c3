//! Placements by hand, and small pictures of which every float is known.

use super::*;

const UNIT: Fit = Fit {
    place: Place::Centre,
    filter: Filter::Bilinear,
    order: Order::Rgb,
    divisor: [255.0; 3],
    offset: [0.0; 3],
};

const GREY: f32 = 114.0 / 255.0;

fn centred(picture: (u32, u32), input: (u32, u32)) -> Placement {
    Placement::new(Place::Centre, View::PLAIN, picture, input)
}

fn filled(image: &Image, fit: &Fit, view: View, input: (u32, u32)) -> Vec<f32> {
    let mut tensor = vec![f32::NAN; 3 * input.0 as usize * input.1 as usize];
    Letterbox::default().fill(image, fit, view, input, &mut tensor).unwrap();
    tensor
}

#[test]
fn a_wide_picture_gets_borders_above_and_below() {
    let placement = centred((768, 576), (640, 640));
    assert_eq!((placement.width, placement.height), (640, 480));
    assert_eq!((placement.left, placement.top), (0, 80));
    let bbox = placement.to_picture(BBox::new(320.0, 80.0, 640.0, 560.0));
    assert!((bbox.x1 - 384.0).abs() < 1e-3 && bbox.y1.abs() < 1e-3);
    assert!((bbox.x2 - 768.0).abs() < 1e-3 && (bbox.y2 - 576.0).abs() < 1e-3);
    assert!((placement.filled((640, 640)) - 0.75).abs() < 1e-9);
}

#[test]
fn extreme_pictures_keep_a_pixel() {
    let long = centred((4000, 1), (640, 640));
    assert_eq!((long.width, long.height), (640, 1));
    let small = centred((1, 1), (640, 480));
    assert_eq!((small.width, small.height, small.left, small.top), (480, 480, 80, 0));
}

#[test]
fn a_corner_placement_cuts_fractions_and_a_stretch_fills() {
    let corner = Placement::new(Place::TopLeft, View::PLAIN, (640, 427), (416, 416));
    assert_eq!((corner.width, corner.height, corner.left, corner.top), (416, 277, 0, 0));
    let stretch = Placement::new(Place::Stretch, View::PLAIN, (640, 320), (64, 64));
    assert_eq!((stretch.width, stretch.height), (64, 64));
    let bbox = stretch.to_picture(BBox::new(32.0, 32.0, 64.0, 64.0));
    assert_eq!(bbox, BBox::new(320.0, 160.0, 640.0, 320.0));
}

#[test]
fn the_tensor_is_planar_with_grey_borders() {
    let image = Image::new(2, 1, vec![255, 0, 51, 0, 255, 102]).unwrap();
    let expected = [
        [GREY, GREY, 1.0, 0.0, GREY, GREY],
        [GREY, GREY, 0.0, 1.0, GREY, GREY],
        [GREY, GREY, 0.2, 0.4, GREY, GREY],
    ];
    let tensor = filled(&image, &UNIT, View::PLAIN, (2, 3));
    for (found, expected) in tensor.iter().zip(expected.as_flattened()) {
        assert!((found - expected).abs() < 1e-6, "{tensor:?}");
    }
    let mirrored = View { mirrored: true, ..View::PLAIN };
    let tensor = filled(&image, &UNIT, mirrored, (2, 3));
    assert!(tensor[2].abs() < 1e-6 && (tensor[3] - 1.0).abs() < 1e-6, "{tensor:?}");
}

#[test]
fn planes_may_be_blue_first_and_keep_their_range() {
    let image = Image::new(1, 1, vec![1, 2, 3]).unwrap();
    let bgr = Fit { place: Place::TopLeft, order: Order::Bgr, divisor: [1.0; 3], ..UNIT };
    assert_eq!(filled(&image, &bgr, View::PLAIN, (1, 2)), [3.0, 114.0, 2.0, 114.0, 1.0, 114.0]);
    let shifted = Fit { divisor: [0.5, 1.0, 1.0], offset: [0.5, 0.0, -1.0], ..UNIT };
    assert_eq!(filled(&image, &shifted, View::PLAIN, (1, 1)), [2.5, 2.0, 2.0]);
}

#[test]
fn a_tall_picture_gets_borders_left_and_right() {
    let image = Image::new(1, 2, vec![255; 6]).unwrap();
    let tensor = filled(&image, &UNIT, View::PLAIN, (4, 2));
    let row = [GREY, 1.0, GREY, GREY];
    for (found, expected) in tensor.iter().zip(row.iter().cycle()) {
        assert!((found - expected).abs() < 1e-6, "{tensor:?}");
    }
}

#[test]
fn a_mirrored_smaller_view_leads_back_to_the_same_box() {
    let view = View::AUGMENTED[1];
    let placement = Placement::new(Place::Centre, view, (100, 50), (64, 64));
    // 53 x 27 pixels, 5 columns and 18 rows of border before them.
    assert_eq!((placement.width, placement.height, placement.left, placement.top), (53, 27, 5, 18));
    let bbox =
        placement.to_picture(BBox::new(5.0, 18.0, 5.0 + 0.5312 * 10.0, 18.0 + 0.5312 * 20.0));
    assert!((bbox.x2 - 53.0 / 0.5312).abs() < 0.1 && bbox.y1.abs() < 1e-4, "{bbox:?}");
    assert!((bbox.width() - 10.0).abs() < 0.01 && (bbox.height() - 20.0).abs() < 0.01, "{bbox:?}");
}

#[test]
fn every_byte_is_divided_as_the_references_divide_it() {
    let all = Image::new(256, 1, (0..=255).flat_map(|byte| [byte; 3]).collect()).unwrap();
    let tensor = filled(&all, &UNIT, View::PLAIN, (256, 1));
    let expected: Vec<f32> = (0_u8..=255).map(|byte| f32::from(byte) / 255.0).collect();
    for plane in tensor.chunks_exact(256) {
        assert_eq!(plane, expected);
    }
    let product = |byte: u8| f32::from(byte) * (1.0 / 255.0);
    assert!((0..=255).any(|byte| product(byte) != expected[usize::from(byte)]));
}
