//! Real files, whole and broken.

use std::fs;
use std::path::PathBuf;

use super::*;

/// A file of its own that is removed at the end.
struct TestFile(PathBuf);

impl TestFile {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let name = format!("vigil-decode-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn open(path: &Path) -> Result<VideoReader, DecodeError> {
    VideoReader::open(path, None, None)
}

#[derive(Default)]
struct Seen {
    frames: Vec<(i64, i64)>,
    faults: Vec<DecodeError>,
    last: Option<Frame>,
}

fn read_all(mut reader: VideoReader) -> Seen {
    let mut seen = Seen::default();
    loop {
        match reader.read() {
            Read::Frame(frame) => {
                let video = reader.video();
                assert_eq!(frame.image.width(), video.width);
                assert_eq!(frame.image.height(), video.height);
                seen.frames.push((frame.frame_number, frame.pts_millis));
                seen.last = Some(frame);
            }
            Read::Fault(fault) => seen.faults.push(fault),
            Read::End => {
                assert!(matches!(reader.read(), Read::End), "after the end always the end");
                return seen;
            }
        }
    }
}

#[test]
fn whole_videos_give_every_frame_in_order() {
    let Some(videos) = vigil_test_data::folder("data/video") else { return };
    let expected = [
        ("vtest.avi", 795, (768, 576), 10.0, "msmpeg4"),
        ("bikes.mp4", 250, (640, 272), 25.0, "h264"),
        ("bangkok-traffic.mp4", 462, (640, 360), 25.0, "h264"),
    ];
    for (name, frames, size, rate, codec) in expected {
        let reader = open(&videos.join(name)).unwrap();
        let video = reader.video().clone();
        assert_eq!((video.width, video.height), size, "{name}");
        assert_eq!(video.total_frames, Some(frames), "{name}");
        assert!((video.frame_rate.unwrap() - rate).abs() < 0.1, "{name}: {:?}", video.frame_rate);
        assert_eq!(video.codec, codec, "{name}");
        let seen = read_all(reader);
        assert_eq!(seen.faults, [], "{name}");
        assert_eq!(seen.frames.len() as i64, frames, "{name}");
        for (index, (number, pts_millis)) in seen.frames.iter().enumerate() {
            assert_eq!(*number, index as i64, "{name}");
            let exact = index as f64 * 1e3 / video.frame_rate.unwrap();
            assert!((*pts_millis as f64 - exact).abs() <= 1.0, "{name}: {number} at {pts_millis}");
        }
    }
}

#[test]
fn a_long_damaged_stretch_does_not_end_a_file() {
    let Some(videos) = vigil_test_data::folder("data/video") else { return };
    let mut bytes = fs::read(videos.join("bikes.mp4")).unwrap();
    // The pictures lie in the box mdat. Most of them are overwritten, the last ones are not.
    let mdat = bytes.windows(4).position(|name| name == b"mdat").unwrap() + 4;
    let length = u32::from_be_bytes(bytes[mdat - 8..mdat - 4].try_into().unwrap()) as usize;
    bytes[mdat..mdat + length * 7 / 10].fill(0xff);
    let file = TestFile::new("stretch.mp4", &bytes);
    let seen = read_all(open(&file.0).unwrap());
    assert!(seen.faults.len() > MAX_FAULTS_IN_A_ROW as usize, "{} faults", seen.faults.len());
    let given_up = |fault: &DecodeError| matches!(fault, DecodeError::GivenUp { .. });
    assert!(!seen.faults.iter().any(given_up), "{:?}", seen.faults.last());
    assert!(!seen.frames.is_empty());
}

#[test]
fn fps_takes_frames_by_time_and_keeps_their_numbers() {
    let Some(videos) = vigil_test_data::folder("data/video") else { return };
    let seen = read_all(VideoReader::open(&videos.join("vtest.avi"), None, Some(2.0)).unwrap());
    assert_eq!(seen.frames.len(), 159);
    assert!(
        seen.frames.iter().enumerate().all(|(i, frame)| *frame == (i as i64 * 5, i as i64 * 500))
    );
}

#[test]
fn max_width_scales_while_decoding() {
    let Some(videos) = vigil_test_data::folder("data/video") else { return };
    let path = videos.join("vtest.avi");
    // 383 pixels: a width that needs padded rows.
    for (most, size) in [(384, (384, 288)), (383, (383, 287)), (4000, (768, 576))] {
        let mut reader = VideoReader::open(&path, Some(most), None).unwrap();
        let Read::Frame(frame) = reader.read() else { panic!("a frame") };
        assert_eq!((frame.image.width(), frame.image.height()), size);
    }
}

#[test]
fn padded_and_direct_rows_give_the_same_picture() {
    let Some(videos) = vigil_test_data::folder("data/video") else { return };
    let mut reader = open(&videos.join("bikes.mp4")).unwrap();
    let Read::Frame(_) = reader.read() else { panic!("a frame") };
    for width in [640, 608, 344, 333, 101, 33, 16] {
        let mut converter = Converter::new(640, 272, Some(width), 0);
        let image = converter.convert(&reader.decoded).unwrap();
        // A buffer with room behind every row has no end to overrun.
        let (stride, row) = (width as usize * 3 + 96, width as usize * 3);
        let mut roomy = vec![0; stride * image.height() as usize];
        converter.scale(&reader.decoded, &mut roomy, stride).unwrap();
        for (y, expected) in roomy.chunks_exact(stride).enumerate() {
            assert_eq!(&image.rgb()[y * row..(y + 1) * row], &expected[..row], "{width}, row {y}");
        }
    }
}

#[test]
fn quarter_turns_swap_the_sides() {
    let lying = Converter::new(640, 272, Some(136), 1);
    assert_eq!(lying.turned_size(), (136, 320));
    assert_eq!(Converter::new(640, 272, None, 3).turned_size(), (272, 640));
    assert_eq!(Converter::new(640, 272, Some(320), 2).turned_size(), (320, 136));
}

#[test]
fn files_that_are_no_videos_are_refused_at_once() {
    let state = |name: &str, bytes: &[u8]| {
        let file = TestFile::new(name, bytes);
        let Err(error) = open(&file.0) else { panic!("{name} was opened") };
        assert!(!error.to_string().contains('\n'));
        (error.sqlstate(), error)
    };
    let text = "people walk by, and nobody films them\n".repeat(200);
    assert!(matches!(state("text.mp4", text.as_bytes()), ("22P03", DecodeError::NotVideo { .. })));
    assert!(matches!(state("text.txt", text.as_bytes()), ("22P03", DecodeError::NotVideo { .. })));
    assert!(matches!(state("empty.mp4", b""), ("22P03", DecodeError::Empty { .. })));
    assert!(matches!(state("noise.avi", &[0xA5; 4096]), ("22P03", DecodeError::NotVideo { .. })));
    let playlist = b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n";
    assert!(matches!(state("list.m3u8", playlist).1, DecodeError::NotVideo { .. }));
    // Another file, which SQL may be forbidden to read.
    if let Some(videos) = vigil_test_data::folder("data/video") {
        let other = videos.join("vtest.avi").display().to_string();
        for (name, list) in [
            (
                "local.m3u8",
                format!(
                    "#EXTM3U\n#EXT-X-TARGETDURATION:99\n#EXTINF:80,\n{other}\n#EXT-X-ENDLIST\n"
                ),
            ),
            (
                "named.mp4",
                format!(
                    "#EXTM3U\n#EXT-X-TARGETDURATION:99\n#EXTINF:80,\nfile:{other}\n#EXT-X-ENDLIST\n"
                ),
            ),
            ("list.ffconcat", format!("ffconcat version 1.0\nfile '{other}'\n")),
        ] {
            let error = state(name, list.as_bytes()).1;
            assert!(matches!(error, DecodeError::NotVideo { .. }), "{name}: {error}");
        }
    }
    let Err(error) = open(Path::new("/nowhere/at/all.mp4")) else { panic!("opened") };
    assert_eq!(error.sqlstate(), "58030");
}

#[test]
fn a_sound_file_has_no_video_stream() {
    // A second of silence, as WAVE: 8000 samples of 8 bits.
    let mut wave = b"RIFF\x64\x1f\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00".to_vec();
    wave.extend_from_slice(b"\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data\x40\x1f\x00\x00");
    wave.extend_from_slice(&[0x80; 8000]);
    let file = TestFile::new("silence.wav", &wave);
    let Err(error) = open(&file.0) else { panic!("opened") };
    assert!(matches!(error, DecodeError::NoVideoStream { .. }), "{error:?}");
}

#[test]
fn a_truncated_video_gives_what_is_there_and_then_a_fault() {
    let Some(videos) = vigil_test_data::folder("data/video") else { return };
    for name in ["vtest.avi", "bikes.mp4", "bangkok-traffic.mp4"] {
        let whole = fs::read(videos.join(name)).unwrap();
        let file = TestFile::new(&format!("half-{name}"), &whole[..whole.len() / 2]);
        match open(&file.0) {
            Ok(reader) => {
                let promised = reader.video().total_frames.unwrap();
                let seen = read_all(reader);
                eprintln!("{name}: {} of {promised}: {:?}", seen.frames.len(), seen.faults);
                assert!(seen.frames.len() as i64 > promised / 4, "{name}");
                assert!((seen.frames.len() as i64) < promised, "{name}");
                assert!(!seen.faults.is_empty(), "{name}");
                assert!(seen.faults.iter().all(|fault| fault.sqlstate() == "22P03"));
            }
            // An MP4 whose index is at its end has lost it.
            Err(error) => assert!(matches!(error, DecodeError::NotVideo { .. }), "{name}: {error}"),
        }
    }
}

#[test]
fn decoding_goes_on_after_broken_bytes() {
    let Some(videos) = vigil_test_data::folder("data/video") else { return };
    for name in ["vtest.avi", "bikes.mp4", "bangkok-traffic.mp4"] {
        let mut bytes = fs::read(videos.join(name)).unwrap();
        let middle = bytes.len() / 2;
        for (index, byte) in bytes[middle..middle + 20_000].iter_mut().enumerate() {
            *byte = (index * 131 % 251) as u8;
        }
        let file = TestFile::new(&format!("broken-{name}"), &bytes);
        let reader = open(&file.0).unwrap();
        let promised = reader.video().total_frames.unwrap();
        let first = read_all(reader);
        eprintln!("{name}: {} of {promised}: {} faults", first.frames.len(), first.faults.len());
        assert!(!first.faults.is_empty(), "{name}");
        assert!(first.frames.len() as i64 > promised * 4 / 5, "{name}");
        assert!(first.frames.windows(2).all(|pair| pair[0] < pair[1]), "{name}");
        let again = read_all(open(&file.0).unwrap());
        assert_eq!((first.frames, first.faults), (again.frames, again.faults), "{name}");
    }
}

#[test]
fn one_frame_can_be_read_again() {
    let Some(videos) = vigil_test_data::folder("data/video") else { return };
    let path = videos.join("bikes.mp4");
    let mut reader = open(&path).unwrap();
    let mut seventh = None;
    while seventh.is_none() {
        let Read::Frame(frame) = reader.read() else { panic!("a frame") };
        seventh = (frame.frame_number == 7).then_some(frame);
    }
    let mut again = open(&path).unwrap();
    again.skip_to(7);
    let Read::Frame(frame) = again.read() else { panic!("a frame") };
    assert_eq!((frame.frame_number, frame.pts_millis), (7, 280));
    assert_eq!(frame.image, seventh.unwrap().image);
}
