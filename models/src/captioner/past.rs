//! Keys and values of attention that outlive a run: those of past tokens, and those of pictures.
//!
//! A graph names them as Hugging Face optimum does: inputs `past_key_values.0.key` (or
//! `past_key_values.0.decoder.key`), outputs `present.0.key`; each has rows × heads × length × size
//! floats, of which heads and size are the graph's own.

use crate::ModelError;
use crate::backend::{Element, Input, Outputs, Session};

/// The keys and values of all layers.
pub(super) struct Past {
    tensors: Vec<Kept>,
    /// Where rows are put in another order.
    spare: Vec<f32>,
}

/// Keys or values of one layer.
struct Kept {
    input: String,
    output: String,
    /// Rows × heads × length × size.
    shape: [usize; 4],
    data: Vec<f32>,
}

impl Past {
    /// The inputs `past_key_values.<layer><of>key` and `…value` of a graph, where `of` is `.` or
    /// `.decoder.` or `.encoder.`; empty when it has none. `giver` is the graph with the outputs
    /// `present.<layer><of>key`.
    ///
    /// # Errors
    /// [`ModelError::WrongTensors`] when a tensor that belongs to them is missing or has another
    /// shape.
    pub(super) fn of(taker: &Session, giver: &Session, of: &str) -> Result<Self, ModelError> {
        let mut tensors = Vec::new();
        for layer in 0.. {
            let name = |side: &str, kind: &str| format!("{side}.{layer}{of}{kind}");
            let first = name("past_key_values", "key");
            if !taker.inputs().iter().any(|input| input.name == first) {
                break;
            }
            for kind in ["key", "value"] {
                let (input, output) = (name("past_key_values", kind), name("present", kind));
                let found = taker.expect_input(&input, Element::F32, &[None; 4])?;
                let [_, Some(heads), _, Some(size)] = found.shape[..] else {
                    let detail = format!(
                        "The graph's input {found} leaves the number or the size of heads open."
                    );
                    return Err(ModelError::WrongTensors { name: taker.name().into(), detail });
                };
                giver.expect_output(
                    &output,
                    Element::F32,
                    &[None, Some(heads), None, Some(size)],
                )?;
                tensors.push(Kept { input, output, shape: [0, heads, 0, size], data: Vec::new() });
            }
        }
        Ok(Self { tensors, spare: Vec::new() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// `rows` rows of length 0.
    pub(super) fn clear(&mut self, rows: usize) {
        for kept in &mut self.tensors {
            kept.data.clear();
            (kept.shape[0], kept.shape[2]) = (rows, 0);
        }
    }

    /// Makes row `i` what row `rows[i]` was.
    pub(super) fn reorder(&mut self, rows: &[usize]) {
        let same = |kept: &Kept| rows.iter().copied().eq(0..kept.shape[0]);
        for kept in &mut self.tensors {
            if same(kept) {
                continue;
            }
            let width = kept.shape[1..].iter().product::<usize>();
            self.spare.clear();
            for &row in rows {
                self.spare.extend_from_slice(&kept.data[row * width..][..width]);
            }
            std::mem::swap(&mut self.spare, &mut kept.data);
            kept.shape[0] = rows.len();
        }
    }

    /// The tensors as a run takes them.
    pub(super) fn inputs(&self) -> impl Iterator<Item = Input<'_>> {
        self.tensors.iter().map(|kept| Input::f32(&kept.input, &kept.shape, &kept.data))
    }

    /// Keeps what a run gave instead of what was there.
    pub(super) fn keep(&mut self, outputs: &Outputs<'_>, name: &str) -> Result<(), ModelError> {
        for kept in &mut self.tensors {
            let (found, data) = outputs.f32(&kept.output)?;
            let fits = matches!(found[..], [_, heads, _, size]
                if heads == kept.shape[1] && size == kept.shape[3]);
            if !fits || data.len() != found.iter().product::<usize>() {
                let detail = format!("the run gave \"{}\" of shape {found:?}", kept.output);
                return Err(ModelError::Run { name: name.into(), detail });
            }
            (kept.shape[0], kept.shape[2]) = (found[0], found[2]);
            kept.data.clear();
            kept.data.extend_from_slice(data);
        }
        Ok(())
    }
}
