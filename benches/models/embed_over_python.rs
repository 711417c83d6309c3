//! `embed_over_python`: sentences a second of our embedder over those of the same ONNX file driven from
//! Python by onnxruntime with Hugging Face's tokenizers, in batches of 32 in the file's order
//! (`embed.py` beside this file). all-minilm-l6-v2-int8 on captions, two threads on both sides.
//!
//! Ours tokenizes all, sorts by length and then makes its batches, so that little is padded.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use vigil_models::backend::SessionOptions;
use vigil_models::{EmbedOptions, Registry, open_embedder};

use crate::setting::{Setting, median};

const MODEL: &str = "all-minilm-l6-v2-int8";

/// Captions, every fortieth of the file's, and pairs.
const CAPTIONS: usize = 1000;
const STEP: usize = 40;
const PAIRS: usize = 7;
const THREADS: usize = 2;

/// Vectors of the two sides must have this cosine at least: they are to do the same work.
const LEAST_COSINE: f32 = 0.999;

pub fn measure(setting: &Setting) -> Result<Option<f64>> {
    let file = setting.data.join("captions/flickr8k-captions.txt");
    let graph = setting.models.join(MODEL).join("model.onnx");
    if !setting.has("embed_over_python", &[&file, &graph]) {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&file)?;
    let lines = text.lines().step_by(STEP).take(CAPTIONS);
    let captions: Vec<&str> =
        lines.filter_map(|line| line.split_once('\t')).map(|(_, caption)| caption).collect();
    ensure!(captions.len() == CAPTIONS, "{} has too few captions", file.display());
    let Some(mut python) = Python::start(setting, &captions)? else { return Ok(None) };

    let options = SessionOptions { intra_threads: THREADS, ..SessionOptions::default() };
    let registry = Registry::open(&setting.models)?;
    let mut embedder = open_embedder(&registry, registry.entry(MODEL)?, options)?;
    // Both sides run once to be warm; what they give is compared.
    let ours = embedder.embed(&captions, EmbedOptions::default())?;
    let theirs = python.vectors(captions.len())?;
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let cosine: f32 = ours.iter().zip(theirs).map(|(a, b)| a * b).sum();
        ensure!(cosine >= LEAST_COSINE, "the two sides differ: a cosine of {cosine}");
    }
    let mut ratios = Vec::with_capacity(PAIRS);
    for pair in 0..PAIRS {
        let python = python.seconds()?;
        let start = Instant::now();
        embedder.embed(&captions, EmbedOptions::default())?;
        let ours = start.elapsed().as_secs_f64();
        let rate = |seconds: f64| captions.len() as f64 / seconds;
        eprintln!(
            "pair {pair}: Python {:.0} sentences/s, Vigil {:.0} sentences/s",
            rate(python),
            rate(ours)
        );
        ratios.push(python / ours);
    }
    Ok(Some(median(ratios)))
}

/// The other side: a process that embeds all captions each time it is told to.
struct Python {
    child: Child,
    tell: ChildStdin,
    said: BufReader<ChildStdout>,
    vectors: PathBuf,
    _folder: tempfile::TempDir,
}

impl Python {
    /// Starts it; `None`, with a word on stderr, where its libraries are not there.
    fn start(setting: &Setting, captions: &[&str]) -> Result<Option<Self>> {
        let root = vigil_test_data::top_level();
        let python = root.join(".venv/bin/python");
        let has = Command::new(&python)
            .args(["-c", "import numpy, onnxruntime, tokenizers"])
            .stderr(Stdio::null())
            .status();
        if !has.is_ok_and(|status| status.success()) {
            eprintln!(
                "embed_over_python is not measured: {} has no numpy, onnxruntime and tokenizers",
                python.display()
            );
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let (list, vectors) = (folder.path().join("captions"), folder.path().join("vectors"));
        std::fs::write(&list, captions.join("\n"))?;
        let mut child = Command::new(&python)
            .arg(root.join("benches/models/embed.py"))
            .args([&setting.models.join(MODEL), &list, &vectors])
            .arg(THREADS.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let tell = child.stdin.take().context("the process has no input")?;
        let said = BufReader::new(child.stdout.take().context("the process has no output")?);
        Ok(Some(Self { child, tell, said, vectors, _folder: folder }))
    }

    /// Embeds once; seconds.
    fn seconds(&mut self) -> Result<f64> {
        writeln!(self.tell, "embed")?;
        self.tell.flush()?;
        let mut line = String::new();
        if self.said.read_line(&mut line)? == 0 {
            bail!("the Python side ended: {:?}", self.child.wait()?);
        }
        Ok(line.trim().parse()?)
    }

    /// What it makes of the captions.
    fn vectors(&mut self, count: usize) -> Result<Vec<Vec<f32>>> {
        self.seconds()?;
        let bytes = std::fs::read(&self.vectors)?;
        let floats: Vec<f32> =
            bytes.as_chunks::<4>().0.iter().map(|&four| f32::from_le_bytes(four)).collect();
        Ok(floats.chunks_exact(floats.len() / count).map(<[f32]>::to_vec).collect())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It ends with its input, too; a bench that fails should not leave it behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
