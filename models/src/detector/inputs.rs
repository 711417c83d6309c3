//! Which of a model's graphs a picture goes into, and at which size: the one with the least
//! padding, or the square one when `rect` is off.

use super::letterbox::{Place, Placement, View};
use crate::{DetectOptions, ModelError};

/// The input of one graph of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GraphInput {
    /// The graph's file.
    pub(super) file: String,
    /// Width and height, pixels; `None` when the graph takes any.
    pub(super) size: Option<(u32, u32)>,
}

/// A graph, by its place in the list, and the (width, height) at which it is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Choice {
    pub(super) graph: usize,
    pub(super) size: (u32, u32),
}

/// Chooses for a `picture` of (width, height). `stride` is what the sides of an open input must be
/// multiples of, `default_size` the longer side where the options give none.
///
/// # Errors
/// [`ModelError::Unsupported`] when the model `name` has no graph for the `image_size` or shape
/// that is asked for.
pub(super) fn choose(
    name: &str,
    graphs: &[GraphInput],
    place: Place,
    picture: (u32, u32),
    options: &DetectOptions,
    (stride, default_size): (u32, u32),
) -> Result<Choice, ModelError> {
    let image_size = options.image_size.unwrap_or(default_size);
    let refuse = |option, value: String, detail| ModelError::Unsupported {
        name: name.to_owned(),
        option,
        value,
        detail,
    };
    let of_size: Vec<Choice> = (0..)
        .zip(graphs)
        .filter_map(|(graph, input)| match input.size {
            None => {
                let size = open_size(place, picture, image_size, stride, options.rect);
                Some(Choice { graph, size })
            }
            Some(size) if size.0.max(size.1) == image_size => Some(Choice { graph, size }),
            Some(_) => None,
        })
        .collect();
    if of_size.is_empty() {
        let detail = format!("Its graphs take {}.", sizes(graphs));
        return Err(refuse("image_size", image_size.to_string(), detail));
    }
    let is_open = graphs.iter().any(|input| input.size.is_none());
    if is_open && !image_size.is_multiple_of(stride) {
        let below = (image_size / stride).max(1) * stride;
        let detail = format!(
            "The sides of its input are multiples of {stride}: {below} or {} would do.",
            below + stride
        );
        return Err(refuse("image_size", image_size.to_string(), detail));
    }
    // What is stretched has no padding: its graph is the first.
    let square = |choice: &&Choice| choice.size.0 == choice.size.1;
    let best = if place == Place::Stretch {
        of_size.first()
    } else if options.rect {
        let filled = |choice: &Choice| {
            Placement::new(place, View::PLAIN, picture, choice.size).filled(choice.size)
        };
        // Of equals the first.
        of_size.iter().rev().max_by(|a, b| filled(a).total_cmp(&filled(b)))
    } else {
        of_size.iter().find(square)
    };
    best.copied().ok_or_else(|| {
        let detail =
            format!("It has no square graph of {image_size} pixels, only {}.", sizes(graphs));
        refuse("rect", "false".into(), detail)
    })
}

/// The size for a picture in a graph that takes any: the longer side is `image_size`, the other one
/// as long as the picture needs, rounded up to the stride.
fn open_size(
    place: Place,
    picture: (u32, u32),
    image_size: u32,
    stride: u32,
    rect: bool,
) -> (u32, u32) {
    if !rect || place == Place::Stretch {
        return (image_size, image_size);
    }
    let scale = f64::from(image_size) / f64::from(picture.0.max(picture.1));
    let side = |pixels: u32| {
        let scaled = (f64::from(pixels) * scale).round_ties_even() as u32;
        scaled.max(1).next_multiple_of(stride).min(image_size.max(stride))
    };
    (side(picture.0), side(picture.1))
}

/// `640x640 (model.onnx), 640x384 (model-384x640.onnx)`: width and height of each.
fn sizes(graphs: &[GraphInput]) -> String {
    let each: Vec<String> = graphs
        .iter()
        .map(|input| match input.size {
            Some((width, height)) => format!("{width}x{height} ({})", input.file),
            None => format!("any size ({})", input.file),
        })
        .collect();
    each.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graphs(sizes: &[Option<(u32, u32)>]) -> Vec<GraphInput> {
        sizes.iter().map(|&size| GraphInput { file: "model.onnx".into(), size }).collect()
    }

    fn chosen(
        graphs: &[GraphInput],
        picture: (u32, u32),
        options: &DetectOptions,
    ) -> Result<(u32, u32), ModelError> {
        choose("m", graphs, Place::Centre, picture, options, (32, 640)).map(|choice| choice.size)
    }

    #[test]
    fn a_stream_gets_the_graph_with_the_least_padding() {
        let graphs = graphs(&[Some((640, 640)), Some((640, 480)), Some((640, 384))]);
        let rect = DetectOptions::default();
        for (picture, expected) in [
            ((1920, 1080), (640, 384)),
            ((640, 360), (640, 384)),
            ((640, 272), (640, 384)),
            ((768, 576), (640, 480)),
            ((640, 480), (640, 480)),
            ((1000, 1000), (640, 640)),
            ((576, 768), (640, 640)),
            ((1080, 1920), (640, 640)),
        ] {
            assert_eq!(chosen(&graphs, picture, &rect).unwrap(), expected, "{picture:?}");
        }
        let square = DetectOptions { rect: false, ..rect };
        assert_eq!(chosen(&graphs, (1920, 1080), &square).unwrap(), (640, 640));
    }

    #[test]
    fn an_open_graph_takes_the_size_that_fits() {
        let graphs = graphs(&[None]);
        let rect = DetectOptions::default();
        assert_eq!(chosen(&graphs, (1920, 1080), &rect).unwrap(), (640, 384));
        assert_eq!(chosen(&graphs, (1080, 1920), &rect).unwrap(), (384, 640));
        assert_eq!(chosen(&graphs, (8000, 1), &rect).unwrap(), (640, 32));
        let small = DetectOptions { image_size: Some(320), ..rect.clone() };
        assert_eq!(chosen(&graphs, (768, 576), &small).unwrap(), (320, 256));
        let square = DetectOptions { rect: false, ..small };
        assert_eq!(chosen(&graphs, (768, 576), &square).unwrap(), (320, 320));
        let odd = DetectOptions { image_size: Some(330), ..rect };
        let error = chosen(&graphs, (768, 576), &odd).unwrap_err();
        assert!(error.detail().is_some_and(|detail| detail.contains("320 or 352")), "{error:?}");
    }

    #[test]
    fn what_the_graphs_cannot_do_is_refused_with_what_they_can() {
        let only_wide = graphs(&[Some((640, 384))]);
        let small = DetectOptions { image_size: Some(320), ..DetectOptions::default() };
        let error = chosen(&only_wide, (640, 360), &small).unwrap_err();
        assert_eq!(error.to_string(), "model \"m\" cannot take image_size = 320");
        assert_eq!(error.detail(), Some("Its graphs take 640x384 (model.onnx)."));
        assert_eq!(error.sqlstate(), "22023");
        let square = DetectOptions { rect: false, ..DetectOptions::default() };
        let error = chosen(&only_wide, (640, 360), &square).unwrap_err();
        assert_eq!(error.to_string(), "model \"m\" cannot take rect = false");
    }
}
