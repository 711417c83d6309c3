//! Captions that are remembered by what their pictures look like.
//!
//! A picture's key is its difference hash: scaled to 9 × 8 grey pixels, is each brighter than its
//! right neighbour; scaled to 8 × 9, than the one below (Krawetz, "Kind of Like That", 2013, which
//! has the rows alone). Beside the 128 bits stands the mean of each colour in eighths, as pictures
//! of one colour, such as a dark and an overexposed one, have the same bits. Frames of a camera that
//! sees nothing new mostly have one key. Something small that is new need not change it: the caption
//! is then that of the frame before. The options of the caption are part of the key. The least
//! recently used caption goes first.
//!
//! Each source has a cache of its own: in a common one, what is said of a frame would depend on
//! which of two cameras that see alike came first.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use super::worker::CacheCounts;
use crate::image::{Filter, Resizer};
use crate::{CaptionOptions, Image};

/// The side of the square of bits that each direction has.
const SIDE: u32 = 8;

/// The bits of a difference hash, and the means of red, green and blue in eighths.
type Looks = (u128, [u8; 3]);

/// What a picture looks like, and how its caption was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// `None` for a picture that could not be scaled; it is never found.
    looks: Option<Looks>,
    /// Every option in words, so that a new one cannot be forgotten here.
    options: String,
}

impl Key {
    pub(super) fn of(image: &Image, options: &CaptionOptions) -> Self {
        Self { looks: looks(image), options: format!("{options:?}") }
    }

    /// Whether the caption of one is that of the other.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.looks.is_some() && self == other
    }
}

fn looks(image: &Image) -> Option<Looks> {
    let mut resizer = Resizer::default();
    let mut bits = 0_u128;
    let mut push = |brighter: bool| bits = bits << 1 | u128::from(brighter);
    let grey = |pixels: &[u8]| -> Vec<u32> { pixels.chunks_exact(3).map(luma).collect() };
    let scaled = resizer.resize(image, SIDE + 1, SIDE, Filter::Bicubic).ok()?;
    let colour = [0, 1, 2].map(|channel| mean(scaled.iter().skip(channel).step_by(3)) >> 5);
    let wide = grey(scaled);
    for row in wide.chunks_exact(SIDE as usize + 1) {
        row.windows(2).for_each(|pair| push(pair[0] > pair[1]));
    }
    let high = grey(resizer.resize(image, SIDE, SIDE + 1, Filter::Bicubic).ok()?);
    for (above, below) in high.iter().zip(&high[SIDE as usize..]) {
        push(above > below);
    }
    Some((bits, colour))
}

fn mean<'a>(bytes: impl Iterator<Item = &'a u8>) -> u8 {
    let (mut sum, mut count) = (0_u32, 0_u32);
    for &byte in bytes {
        (sum, count) = (sum + u32::from(byte), count + 1);
    }
    // No mean of bytes is more than one.
    (sum / count.max(1)) as u8
}

/// A pixel's brightness by ITU-R BT.601, in thousandths.
fn luma(rgb: &[u8]) -> u32 {
    299 * u32::from(rgb[0]) + 587 * u32::from(rgb[1]) + 114 * u32::from(rgb[2])
}

/// How often all caches of a captioner had a caption.
#[derive(Debug, Default)]
pub(super) struct CacheTotals {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl CacheTotals {
    pub(super) fn read(&self) -> CacheCounts {
        CacheCounts {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }
}

/// The captions that one user of a captioner was given.
pub(super) struct CaptionCache {
    /// `None` remembers nothing.
    captions: Option<Mutex<LruCache<Key, String>>>,
    totals: Arc<CacheTotals>,
}

impl CaptionCache {
    /// A cache for `capacity` captions, which counts in `totals`.
    pub(super) fn new(capacity: usize, totals: Arc<CacheTotals>) -> Self {
        let captions =
            NonZeroUsize::new(capacity).map(|capacity| Mutex::new(LruCache::new(capacity)));
        Self { captions, totals }
    }

    /// Whether it remembers anything.
    pub(super) fn remembers(&self) -> bool {
        self.captions.is_some()
    }

    /// Counts a caption that is the same as one that is being made.
    pub(super) fn count_hit(&self) {
        self.totals.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// The caption of a picture that looks the same, counted as a hit or a miss.
    pub(super) fn find(&self, key: &Key) -> Option<String> {
        let mut captions = self.captions.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match key.looks {
            Some(_) => captions.get(key).cloned(),
            None => None,
        };
        let count = if found.is_some() { &self.totals.hits } else { &self.totals.misses };
        count.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Remembers a caption.
    pub(super) fn remember(&self, key: &Key, caption: &str) {
        if let (Some(captions), Some(_)) = (&self.captions, key.looks) {
            let mut captions = captions.lock().unwrap_or_else(PoisonError::into_inner);
            captions.put(key.clone(), caption.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture whose pixel (x, y) has the grey value that `shade` says.
    fn picture(width: u32, height: u32, shade: impl Fn(u32, u32) -> u8) -> Image {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let rgb = pixels.flat_map(|(x, y)| [shade(x, y); 3]).collect();
        Image::new(width, height, rgb).unwrap()
    }

    fn waves(x: u32, y: u32) -> u8 {
        (100.0 + 50.0 * (x as f32 / 23.0).sin() + 50.0 * (y as f32 / 17.0).cos()) as u8
    }

    #[test]
    fn what_looks_the_same_has_the_same_key_and_what_does_not_has_another() {
        let options = CaptionOptions::default();
        let one = Key::of(&picture(320, 240, waves), &options);
        let noisy = picture(320, 240, |x, y| waves(x, y) + u8::from((x * 7 + y * 13) % 29 == 0));
        assert_eq!(one, Key::of(&noisy, &options));
        let moved = picture(320, 240, |x, y| waves(x + 60, y));
        assert_ne!(one, Key::of(&moved, &options));
        let flat = |shade| Key::of(&picture(320, 240, |_, _| shade), &options);
        assert_ne!(flat(0), flat(255), "pictures of one colour are told apart by it");
        let other = CaptionOptions { num_beams: 1, ..options };
        assert_ne!(one, Key::of(&picture(320, 240, waves), &other));
    }

    #[test]
    fn hits_and_misses_are_counted_and_the_oldest_goes() {
        let totals = Arc::new(CacheTotals::default());
        let cache = CaptionCache::new(2, Arc::clone(&totals));
        let options = CaptionOptions::default();
        let key = |shift| Key::of(&picture(90, 80, |x, y| waves(x * 4 + shift, y * 4)), &options);
        let keys = [key(0), key(40), key(80)];
        assert_eq!(cache.find(&keys[0]), None);
        cache.remember(&keys[0], "zero");
        cache.remember(&keys[1], "one");
        assert_eq!(cache.find(&keys[0]).as_deref(), Some("zero"));
        cache.remember(&keys[2], "two");
        assert_eq!(cache.find(&keys[1]), None, "it was used least recently");
        assert_eq!(cache.find(&keys[2]).as_deref(), Some("two"));
        assert_eq!(totals.read(), CacheCounts { hits: 2, misses: 2 });
        let other = CaptionCache::new(2, Arc::clone(&totals));
        assert_eq!(other.find(&keys[2]), None, "another source has its own");
        assert_eq!(totals.read(), CacheCounts { hits: 2, misses: 3 });
        let nothing = CaptionCache::new(0, Arc::clone(&totals));
        nothing.remember(&keys[0], "zero");
        assert_eq!((nothing.find(&keys[0]), totals.read().misses), (None, 3));
    }
}
