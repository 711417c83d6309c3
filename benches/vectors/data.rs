//! The rows and the queries: sentences as vectors, and perturbed copies of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::K;
use crate::ours::Ours;

/// Elements of a vector.
pub(crate) const DIMENSIONS: usize = 384;

/// The length of what is added to a copy, over that of the vector.
const NOISE: f32 = 0.35;

/// Sources that the rows belong to, in turn: each has 1 % of them.
pub(crate) const CAMERAS: usize = 100;

/// A vector.
pub(crate) type Vector = Vec<f32>;

/// What is searched, and for what.
pub(crate) struct Data {
    pub(crate) sentences: Vec<String>,
    /// The image of each sentence.
    pub(crate) images: Vec<u32>,
    /// The vector of each sentence.
    pub(crate) sentence_vectors: Vec<Vector>,
    /// The rows: the sentences, then copies of them.
    pub(crate) rows: Vec<Vector>,
    pub(crate) queries: Vec<Vector>,
    /// The distance of the tenth row for each query.
    limits: Vec<f32>,
}

impl Data {
    pub(crate) fn new(
        shared: &Path,
        root: &Path,
        ours: &Ours,
        rows: usize,
        queries: usize,
    ) -> Result<Self> {
        let path = shared.join("data/captions/flickr8k-captions.txt");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("{} (VIGIL_SHARED names shared/)", path.display()))?;
        let mut names = Vec::new();
        let (mut sentences, mut images) = (Vec::new(), Vec::new());
        for (name, sentence) in text.lines().filter_map(|line| line.split_once('\t')).take(rows) {
            let image = name.split('#').next().unwrap_or(name);
            if names.last() != Some(&image) {
                names.push(image);
            }
            sentences.push(sentence.to_owned());
            images.push(u32::try_from(names.len())?);
        }
        let sentence_vectors = embedded(root, ours, &sentences)?;
        let copy = |number: usize| {
            let original = &sentence_vectors[number % sentence_vectors.len()];
            perturbed(original, number as u64)
        };
        let mut all = sentence_vectors.clone();
        all.extend((all.len()..rows).map(copy));
        // A step that shares no factor with the number of sentences spreads the queries.
        let queries: Vec<Vector> = (0..queries).map(|n| copy(rows + n * 7919 + 1)).collect();
        let limits = queries.iter().map(|query| limit(&all, query, |_| true)).collect();
        Ok(Self { sentences, images, sentence_vectors, rows: all, queries, limits })
    }

    /// Writes rows and queries for the peers, and gives the folder.
    pub(crate) fn write(&self, root: &Path) -> Result<PathBuf> {
        let folder = root.join(".vigil/bench-vectors-data");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("rows.f32"), bytes(&self.rows))?;
        fs::write(folder.join("queries.f32"), bytes(&self.queries))?;
        Ok(folder)
    }

    /// The share of the true ten nearest rows among those found for the first queries, of one
    /// camera or of all. By distance: rows with the same vector are as good as each other.
    pub(crate) fn recall(&self, found: &[Vec<i64>], camera: Option<usize>) -> f64 {
        let mut hits = 0;
        for (at, (ids, query)) in found.iter().zip(&self.queries).enumerate() {
            let limit = match camera {
                None => self.limits[at],
                Some(camera) => limit(&self.rows, query, |row| row % CAMERAS == camera),
            };
            let near = ids.iter().filter(|id| {
                let row = usize::try_from(**id).ok().and_then(|row| self.rows.get(row));
                row.is_some_and(|row| 1.0 - product(query, row) <= limit + 1e-6)
            });
            hits += near.count().min(K);
        }
        let matching = match camera {
            None => self.rows.len(),
            Some(camera) => (camera..self.rows.len()).step_by(CAMERAS).len(),
        };
        crate::count(hits) / crate::count(found.len() * K.min(matching))
    }
}

fn limit(rows: &[Vector], query: &[f32], counts: impl Fn(usize) -> bool + Sync) -> f32 {
    let mut distances: Vec<f32> = rows
        .iter()
        .enumerate()
        .filter(|(row, _)| counts(*row))
        .map(|(_, row)| 1.0 - product(query, row))
        .collect();
    let at = (K - 1).min(distances.len() - 1);
    *distances.select_nth_unstable_by(at, f32::total_cmp).1
}

/// The inner product.
pub(crate) fn product(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 16];
    for (left, right) in left.as_chunks::<16>().0.iter().zip(right.as_chunks::<16>().0) {
        for lane in 0..16 {
            sums[lane] += left[lane] * right[lane];
        }
    }
    sums.iter().sum()
}

/// A copy with something added, of length 1.
fn perturbed(vector: &[f32], seed: u64) -> Vector {
    let mut bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let noise: Vec<f32> = vector
        .iter()
        .map(|_| {
            // Four uniform numbers make nearly a normal one.
            (0..4)
                .map(|_| {
                    bits ^= bits << 13;
                    bits ^= bits >> 7;
                    bits ^= bits << 17;
                    f32::from((bits >> 48) as u16) / 32_768.0 - 1.0
                })
                .sum()
        })
        .collect();
    let scale = NOISE / product(&noise, &noise).sqrt();
    let mut copy: Vec<f32> = vector.iter().zip(&noise).map(|(v, n)| v + n * scale).collect();
    let length = product(&copy, &copy).sqrt();
    copy.iter_mut().for_each(|element| *element /= length);
    copy
}

fn bytes(vectors: &[Vector]) -> Vec<u8> {
    vectors.iter().flatten().flat_map(|element| element.to_le_bytes()).collect()
}

/// The sentences' vectors; they are kept, as embedding all takes minutes.
fn embedded(root: &Path, ours: &Ours, sentences: &[String]) -> Result<Vec<Vector>> {
    let folder = root.join(".vigil/bench-vectors-data");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("sentences-{}.f32", ours.embedder()?.replace(':', "-")));
    let mut known = fs::read(&path).unwrap_or_default();
    let wanted = sentences.len() * DIMENSIONS * 4;
    let have = known.len() / (DIMENSIONS * 4);
    if known.len() < wanted {
        for texts in sentences[have..].chunks(256) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            for vector in ours.embed(&texts)? {
                ensure!(vector.len() == DIMENSIONS, "vectors of {} elements", vector.len());
                known.extend(vector.iter().flat_map(|element| element.to_le_bytes()));
            }
        }
        fs::write(&path, &known)?;
    }
    let elements =
        known[..wanted].as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    let elements: Vec<f32> = elements.collect();
    Ok(elements.chunks_exact(DIMENSIONS).map(<[f32]>::to_vec).collect())
}

/// For each of the sentences whether one of the `k` rows that `nearest` gives, the sentence itself
/// not among them, is of the same image.
pub(crate) fn finds_same_image(
    data: &Data,
    sentences: impl Iterator<Item = usize>,
    k: usize,
    nearest: impl Fn(usize) -> Vec<usize>,
) -> BTreeSet<usize> {
    let hit = |sentence: &usize| {
        let found = nearest(*sentence);
        found.iter().take(k).any(|other| data.images[*other] == data.images[*sentence])
    };
    sentences.filter(hit).collect()
}
