//! Drawn frames: the same every time, and the truth is what was drawn.

use super::*;

fn small() -> MovingBoxes {
    MovingBoxes { objects: 5, frames: 40, width: 160, height: 120, seed: 7, fps: 25.0 }
}

fn read_all(reader: &mut dyn FrameReader) -> Vec<Frame> {
    let mut frames = vec![];
    loop {
        match reader.read() {
            Read::Frame(frame) => frames.push(frame),
            Read::Fault(error) => panic!("{error}"),
            Read::End => return frames,
        }
    }
}

/// FNV-1a, to pin pictures down without storing them.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

#[test]
fn frames_are_numbered_and_timed() {
    let frames = read_all(&mut MovingBoxesReader::new(small(), None));
    assert_eq!(frames.len(), 40);
    for (index, frame) in frames.iter().enumerate() {
        assert_eq!(frame.frame_number, index as i64);
        assert_eq!(frame.pts_millis, index as i64 * 40);
        assert_eq!((frame.image.width(), frame.image.height()), (160, 120));
    }
    let sampled = read_all(&mut MovingBoxesReader::new(small(), Some(5.0)));
    let numbers: Vec<_> = sampled.iter().map(|frame| frame.frame_number).collect();
    assert_eq!(numbers, [0, 5, 10, 15, 20, 25, 30, 35]);
    assert_eq!(sampled[1].image, frames[5].image);
}

#[test]
fn the_same_seed_draws_the_same_video_on_every_machine() {
    let digest_of = |boxes: MovingBoxes, number| {
        digest(MovingBoxesReader::new(boxes, None).frame(number).unwrap().image.rgb())
    };
    assert_eq!(digest_of(small(), 0), digest_of(small(), 0));
    assert_ne!(digest_of(small(), 0), digest_of(small(), 1));
    assert_ne!(digest_of(small(), 0), digest_of(MovingBoxes { seed: 8, ..small() }, 0));
    let first = truth(&small(), 0);
    assert_eq!(first[0].bbox, BBox::new(48.0, 47.0, 62.0, 64.0));
    assert_eq!(digest_of(small(), 0), 497_413_070_803_544_989);
}

#[test]
fn the_truth_is_what_is_drawn() {
    let reader = MovingBoxesReader::new(small(), None);
    for number in [0, 1, 17, 39] {
        let frame = reader.frame(number).unwrap();
        let objects = frame.truth.unwrap();
        assert_eq!(objects.as_ref(), truth(&small(), number));
        for (x, y) in (0..160).flat_map(|x| (0..120).map(move |y| (x, y))) {
            let inside =
                |b: &BBox| (b.x1..b.x2).contains(&(x as f32)) && (b.y1..b.y2).contains(&(y as f32));
            let at = (y * 160 + x) * 3;
            let pixel = &frame.image.rgb()[at..at + 3];
            // The last object drawn at a place is the one that is seen.
            match objects.iter().rfind(|object| inside(&object.bbox)) {
                Some(object) => assert_eq!(pixel, reader.objects[object.object as usize].colour),
                None => assert_eq!(pixel, &reader.background[at..at + 3]),
            }
        }
    }
}

#[test]
fn objects_stay_inside_and_overlap_themselves_from_frame_to_frame() {
    for seed in 0..20 {
        let boxes = MovingBoxes { objects: 12, seed, ..MovingBoxes::default() };
        let mut before = truth(&boxes, 0);
        for number in 1..300 {
            let now = truth(&boxes, number);
            for (old, new) in before.iter().zip(&now) {
                assert_eq!((old.object, old.class_id), (new.object, new.class_id));
                assert_eq!(new.bbox, new.bbox.clipped(640.0, 480.0));
                assert!(new.bbox.area() > 0.0);
                assert!(old.bbox.iou(&new.bbox) > 0.6, "seed {seed}, frame {number}: {new:?}");
            }
            before = now;
        }
    }
}

#[test]
fn the_smallest_and_a_crowded_frame_can_be_drawn() {
    let boxes = MovingBoxes { objects: 1000, frames: 2, width: 64, height: 64, seed: 1, fps: 1.0 };
    let frames = read_all(&mut MovingBoxesReader::new(boxes, None));
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[1].truth.as_ref().unwrap().len(), 1000);
    let far = truth(&boxes, u64::MAX);
    assert!(far.iter().all(|object| object.bbox == object.bbox.clipped(64.0, 64.0)));
}
