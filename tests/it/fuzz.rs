//! The fuzz targets over their seeds, with the same mutations each time: a smoke, not a search.
//! The search is in `fuzz/`, by hand.

use std::path::Path;

/// Mutations of all seeds of a target together; `VIGIL_FUZZ_EXECUTIONS` says how many else.
const MUTATIONS: usize = 1_000;

/// Where the numbers begin; `VIGIL_FUZZ_SEED` says where else.
const SEED: u64 = 0;

fn from_environment<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// Most bytes of a mutated input.
const MAX_BYTES: usize = 16_384;

/// Numbers that look random and are the same each time (splitmix64, Steele et al. 2014).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
    }
}

/// One small damage.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    const INTERESTING: [u8; 12] =
        [0, 1, 0x7f, 0x80, 0xff, b'\'', b'"', b'(', b')', b'$', b';', b'\\'];
    let at = numbers.below(bytes.len() + 1);
    let length = numbers.below(16).min(bytes.len() - at.min(bytes.len()));
    match numbers.below(7) {
        0 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
        1 if at < bytes.len() => bytes[at] = INTERESTING[numbers.below(INTERESTING.len())],
        2 => drop(bytes.drain(at..at + length)),
        3 => {
            let part = bytes[at..at + length].to_vec();
            for _ in 0..=numbers.below(64) {
                bytes.splice(at..at, part.iter().copied());
            }
        }
        4 => bytes.truncate(at),
        5 => {
            let from = numbers.below(other.len());
            let part = &other[from..(from + 64).min(other.len())];
            bytes.splice(at..at, part.iter().copied());
        }
        _ => bytes.insert(at, numbers.below(256) as u8),
    }
    bytes.truncate(MAX_BYTES);
}

fn smoke(target: &str, run: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the seeds are there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let seeds: Vec<Vec<u8>> =
        files.iter().map(|file| std::fs::read(file).expect("a seed")).collect();
    assert!(!seeds.is_empty(), "{target} has no seeds");
    seeds.iter().for_each(|seed| run(seed));
    let mut numbers = Numbers(target.len() as u64 + from_environment("VIGIL_FUZZ_SEED", SEED));
    let mut input = seeds[0].clone();
    for round in 0..from_environment("VIGIL_FUZZ_EXECUTIONS", MUTATIONS) {
        // From a seed again after a few damages, as most inputs are soon refused at once.
        if round % 8 == 0 {
            input = seeds[numbers.below(seeds.len())].clone();
        }
        mutate(&mut input, &seeds[numbers.below(seeds.len())], &mut numbers);
        run(&input);
    }
}

#[test]
fn messages_of_clients_do_no_harm() {
    smoke("wire", |bytes| {
        vigil_sql::wire::read_messages(bytes);
    });
}

#[test]
fn statements_do_no_harm() {
    smoke("statements", |bytes| {
        let _ = vigil_sql::parse_statements(&String::from_utf8_lossy(bytes));
    });
}

#[test]
fn manifests_do_no_harm() {
    smoke("manifest", |bytes| {
        let _ = vigil_models::manifest::parse("fuzz", &String::from_utf8_lossy(bytes));
    });
}

#[test]
fn options_do_no_harm() {
    smoke("options", |bytes| {
        let _ = vigil::source::parse_options(&String::from_utf8_lossy(bytes));
    });
}
