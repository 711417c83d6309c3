//! `vigil eval detect`: a detector's mean average precision on a folder of pictures with labels.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use vigil_models::backend::Device;
use vigil_models::{
    BBox, DetectOptions, Image, InferenceService, OpenOptions, Registry, ServiceOptions,
};

use crate::cli::error::CliError;
use crate::cli::places::ModelArguments;
use crate::eval::detect::{Picture, average_precision};

/// Measure a detector: COCO's mean average precision
///
/// Detections go down to a confidence of 0.001, each place in a picture may be of several classes,
/// boxes of a class are suppressed at an IoU of 0.7 and at most 300 of a picture are kept: the
/// settings of Ultralytics' "val". The figures follow pycocotools' definition: 101 recalls, at most
/// 100 detections of a class in a picture, objects of all sizes.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  vigil eval detect --model yolov8n --images ../shared/data/coco")]
pub(super) struct DetectArguments {
    /// Name of the detector, with or without version
    #[arg(long, value_name = "NAME")]
    model: String,

    /// Folder with images/ and labels/: for each picture a text file of the same name, with lines
    /// of class id, centre x, centre y, width and height, as fractions of the picture
    #[arg(long, value_name = "DIR")]
    images: PathBuf,

    /// Put each picture into the network's input with the least padding, rather than a square one
    #[arg(long)]
    rect: bool,

    /// Longer side of the network's input, pixels [default: the model's own]
    #[arg(long, value_name = "PIXELS")]
    image_size: Option<u32>,

    /// Show each picture mirrored and smaller, too, and merge what is found
    #[arg(long)]
    augment: bool,

    /// Take the model's float16 graph
    #[arg(long)]
    half_precision: bool,

    /// Where the network runs: auto, cpu, cuda or tensorrt
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = device)]
    device: Device,

    /// Threads of one run of the network [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    #[command(flatten)]
    models: ModelArguments,
}

fn device(text: &str) -> Result<Device, String> {
    Device::from_name(text)
        .ok_or_else(|| format!("the devices are {}", Device::ALL.map(Device::name).join(", ")))
}

/// Runs the command.
pub(super) fn detect(arguments: DetectArguments) -> Result<(), CliError> {
    let config = arguments.models.config.read()?;
    let registry = Registry::open(&arguments.models.folder(&config))?;
    let threads = arguments.threads.map(usize::from).or(config.inference_threads);
    let defaults = ServiceOptions::default();
    let options =
        ServiceOptions { intra_threads: threads.unwrap_or(defaults.intra_threads), ..defaults };
    let service = InferenceService::new(Arc::new(registry), options);
    let open = OpenOptions { device: arguments.device, half_precision: arguments.half_precision };
    let detector = service.detector_with(&arguments.model, open)?;
    let options = DetectOptions {
        confidence_threshold: 0.001,
        iou_threshold: 0.7,
        max_detections: 300,
        image_size: arguments.image_size,
        rect: arguments.rect,
        augment: arguments.augment,
        multi_label: true,
        ..DetectOptions::default()
    };
    let folder = arguments.images.join("labels");
    if !folder.is_dir() {
        return Err(bad(&folder, "it is no folder; without labels nothing can be measured"));
    }
    let classes = detector.labels().len();
    let mut pictures = Vec::new();
    for path in photos(&arguments.images.join("images"))? {
        let image = Arc::new(photo(&path)?);
        let truths = truths(&labels_of(&folder, &path), (image.width(), image.height()), classes)?;
        let found = detector.detect(image, options.clone())?;
        pictures.push(Picture { truths, found });
    }
    let objects: usize = pictures.iter().map(|picture| picture.truths.len()).sum();
    let figures = average_precision(&pictures);
    let mut out = io::stdout().lock();
    let (id, count, place) = (detector.id(), pictures.len(), detector.runs_on());
    writeln!(out, "{id} on {count} pictures with {objects} objects, {place}")?;
    writeln!(out, "figure map50 {:.4} mAP", figures.map50)?;
    writeln!(out, "figure map50_95 {:.4} mAP", figures.map50_95)?;
    Ok(())
}

/// The JPEG and PNG files of a folder, by name.
fn photos(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let read = |source| CliError::Read { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let kind = path.extension().map(|kind| kind.to_ascii_lowercase());
        if kind.is_some_and(|kind| kind == "jpg" || kind == "jpeg" || kind == "png") {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err(bad(folder, "it has no .jpg, .jpeg or .png files"));
    }
    Ok(paths)
}

fn photo(path: &Path) -> Result<Image, CliError> {
    let decoded = image::open(path).map_err(|error| bad(path, &error.to_string()))?.into_rgb8();
    let (width, height) = decoded.dimensions();
    Ok(Image::new(width, height, decoded.into_raw())?)
}

/// The file with the labels of a photo. One that is not there says that the photo is empty, as in
/// COCO's folders.
fn labels_of(folder: &Path, photo: &Path) -> PathBuf {
    // The name may have dots of its own, so that nothing but the photo's ending is replaced.
    let mut name = photo.file_stem().unwrap_or_default().to_owned();
    name.push(".txt");
    folder.join(name)
}

/// The true objects of a picture of (width, height), in its pixels, of a detector's so many `classes`.
fn truths(
    path: &Path,
    (width, height): (u32, u32),
    classes: usize,
) -> Result<Vec<(u32, BBox)>, CliError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(CliError::Read { path: path.to_owned(), source }),
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let (class_id, bbox) = truth(line, width as f32, height as f32).ok_or_else(|| {
                bad(path, &format!("line {}: not a class id and four fractions", number + 1))
            })?;
            // No detection could ever be of it, which would look like a bad detector.
            if class_id as usize >= classes {
                let reason = format!(
                    "line {}: class {class_id}, and the detector has the classes 0 to {}",
                    number + 1,
                    classes.saturating_sub(1)
                );
                return Err(bad(path, &reason));
            }
            Ok((class_id, bbox))
        })
        .collect()
}

fn truth(line: &str, width: f32, height: f32) -> Option<(u32, BBox)> {
    let mut words = line.split_whitespace();
    let class_id = words.next()?.parse().ok()?;
    let mut fraction = || {
        let number: f32 = words.next()?.parse().ok()?;
        (0.0..=1.0).contains(&number).then_some(number)
    };
    let (x, y, w, h) = (fraction()?, fraction()?, fraction()?, fraction()?);
    let (left, top) = ((x - w / 2.0) * width, (y - h / 2.0) * height);
    let bbox = BBox::new(left, top, left + w * width, top + h * height);
    words.next().is_none().then_some((class_id, bbox))
}

fn bad(path: &Path, reason: &str) -> CliError {
    let source = io::Error::new(io::ErrorKind::InvalidData, reason.to_owned());
    CliError::Read { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_class_and_a_box_in_fractions() {
        let (class_id, bbox) = truth("7 0.5 0.25 0.2 0.5", 100.0, 40.0).unwrap();
        assert_eq!(class_id, 7);
        assert!(bbox.iou(&BBox::new(40.0, 0.0, 60.0, 20.0)) > 0.9999, "{bbox:?}");
        for wrong in [
            "",
            "7",
            "7 0.5 0.5 0.1",
            "x 0.5 0.5 0.1 0.1",
            "7 0.5 0.5 0.1 nan",
            "7 0.5 0.5 0.1 0.1 0.9",
            "7 0.5 0.5 0.1 -0.1",
            "7 320 240 64 48",
        ] {
            assert!(truth(wrong, 1.0, 1.0).is_none(), "{wrong}");
        }
    }

    #[test]
    fn labels_go_by_the_photos_whole_name() {
        let labels = labels_of(Path::new("labels"), Path::new("images/frame.000123.jpg"));
        assert_eq!(labels, Path::new("labels/frame.000123.txt"));
    }

    #[test]
    fn a_class_that_the_detector_does_not_have_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "0 0.5 0.5 1 1\n\n2 0.5 0.5 0.5 0.5\n").unwrap();
        assert_eq!(truths(file.path(), (10, 20), 3).unwrap().len(), 2);
        let said = match truths(file.path(), (10, 20), 2) {
            Err(CliError::Read { source, .. }) => source.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(said, "line 3: class 2, and the detector has the classes 0 to 1");
    }
}
