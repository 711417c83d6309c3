//! `make bench-vectors`: search by meaning beside pgvector, hnswlib and NumPy, in one run.
//!
//! Flickr8k's sentences are embedded with MiniLM; perturbed copies of them make up the rows
//! (`VIGIL_BENCH_ROWS`, 100,000 without it, in whole chunks of 256; `VIGIL_BENCH_QUERIES`, 500). All indexes have m = 16 and
//! ef_construction = 200 and are searched with ef_search = 100 by cosine distance. Two sides run in
//! turn, A B A B; what is told is the median of the pairs' ratios. `VIGIL_BENCH_PARTS` names the
//! parts to run, `graph,exact,pgvector,insertion` without it.
//!
//! * `recall`, `recall_pgvector`: recall@10 against an exact search.
//! * `search_over_pgvector`: queries a second, over pgvector's; one connection each, prepared, over
//!   TCP, the vector as `float4[]` in binary.
//! * `build_over_pgvector`: seconds of `CREATE INDEX` on two cores, over pgvector's with one worker
//!   beside its leader.
//! * `filtered_recall`, `filtered_over_pgvector`: the same with a filter that 1 % of the rows pass;
//!   pgvector scans iteratively. `filtered_over_pgvector_btree`: when pgvector has an index on the
//!   column of the filter as well.
//! * `search_over_hnswlib`: queries a second of the graph alone over hnswlib's, one thread each,
//!   with the least ef whose recall is at least hnswlib's less 0.0005, which is less than the
//!   sampling noise of 5,000 rows; the figures before it are both recalls and that ef.
//! * `exact_over_numpy`: seconds of `ORDER BY … LIMIT 10` without an index, over the product of
//!   NumPy's matrix and the query alone.
//! * `insertion_p99_ratio`: the 99th percentile of searches while rows come in, over that without.
//! * `flickr8k_r1_gap`, `_r5_`, `_r10_`: how much less often a search of the graph finds another
//!   caption of the same image than an exact search does.

#[cfg(target_os = "linux")]
vigil::huge_pages!();

mod data;
mod graph;
mod ours;
mod peers;
mod wire;

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use vigil::index::Graph;

use self::data::{Data, Vector};
use self::ours::Ours;
use self::peers::{HnswLib, Numpy, Postgres};
use self::wire::Client;

/// Pairs of a run of ours and a run of a peer.
const PAIRS: usize = 5;
/// The same of builds, which take long.
const BUILDS: usize = 2;
/// From so many rows on one pair of builds is all: pgvector's takes a quarter of an hour or more.
const MANY_ROWS: usize = 500_000;
/// Rows that a query asks for.
const K: usize = 10;
/// Queries of what takes long.
const FEW: usize = 50;
/// Recalls that differ by no more count as equal: of the 5,000 rows of 500 queries these are two and a
/// half, about a third of the standard error of either recall where both are near .99.
const RECALL_NOISE: f64 = 0.0005;

const CREATE_INDEX: &str = "CREATE INDEX captions_embedding_idx ON captions USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 200)";
const DROP_INDEX: &str = "DROP INDEX captions_embedding_idx";
const NEAREST: &str =
    "SELECT frame_number FROM captions ORDER BY embedding <=> $1::vector LIMIT 10";
const NEAREST_OF_SOURCE: &str = "SELECT frame_number FROM captions WHERE source = 'camera-7' ORDER BY embedding <=> $1::vector LIMIT 10";

/// What can be measured by itself: `VIGIL_BENCH_PARTS=graph,exact` and the like.
const PARTS: [&str; 4] = ["graph", "exact", "pgvector", "insertion"];

fn main() -> Result<()> {
    let parts = match std::env::var("VIGIL_BENCH_PARTS") {
        Ok(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
        Err(_) => PARTS.map(str::to_owned).to_vec(),
    };
    let unknown = parts.iter().find(|part| !PARTS.contains(&part.as_str()));
    ensure!(unknown.is_none(), "VIGIL_BENCH_PARTS has some of {PARTS:?}, not {unknown:?}");
    let has = |part: &str| parts.iter().any(|other| other == part);
    let mut bench = Bench::start()?;
    if has("graph") {
        bench.graph()?;
    }
    if parts.iter().any(|part| part != "graph") {
        say("loading");
        let mut client = bench.ours.load(&bench.data)?;
        if has("exact") {
            bench.exact(&mut client)?;
        }
        if has("pgvector") {
            bench.pgvector(&mut client)?;
        }
        if has("insertion") {
            bench.insertion(&mut client)?;
        }
    }
    print(&bench.figures);
    Ok(())
}

/// What all parts need, and what they found.
struct Bench {
    root: PathBuf,
    python: PathBuf,
    /// Where the peers find rows and queries.
    folder: PathBuf,
    ours: Ours,
    data: Data,
    figures: Vec<String>,
}

impl Bench {
    fn start() -> Result<Self> {
        let root = vigil_test_data::top_level();
        let shared = vigil_test_data::root();
        // Whole chunks, so that the graph alone has the rows that hnswlib has.
        let rows = (number("VIGIL_BENCH_ROWS", 100_000)? / Graph::CHUNK).max(1) * Graph::CHUNK;
        let queries = number("VIGIL_BENCH_QUERIES", 500)?;
        let ours = Ours::start(&shared)?;
        say("embedding sentences");
        let data = Data::new(&shared, &root, &ours, rows, queries)?;
        let python = root.join(".vigil/bench-vectors/bin/python");
        let folder = data.write(&root)?;
        Ok(Self { root, python, folder, ours, data, figures: Vec::new() })
    }

    fn figure(&mut self, name: &str, value: f64, unit: &str) {
        self.figures.push(figure(name, value, unit));
    }

    /// The graph without SQL: Flickr8k's images, and hnswlib.
    fn graph(&mut self) -> Result<()> {
        say("Flickr8k's images");
        for (k, gap) in graph::image_recall_gaps(&self.data) {
            self.figure(&format!("flickr8k_r{k}_gap"), gap, "share");
        }
        say("the graph beside hnswlib");
        let mut hnswlib = HnswLib::start(&self.python, &self.folder, &self.data)?;
        let own = graph::build(&self.data.rows);
        let theirs = hnswlib.recall(&self.data)?;
        let (ef, recall) = graph::ef_for(&own, &self.data, theirs - RECALL_NOISE)?;
        self.figure("hnswlib_recall", theirs, "share");
        self.figure("graph_recall_beside_hnswlib", recall, "share");
        self.figure("graph_ef_beside_hnswlib", count(ef), "ef");
        let data = &self.data;
        let ratio = pairs(PAIRS, || {
            let ours = graph::seconds(&own, data, ef);
            Ok(hnswlib.seconds()? / ours)
        })?;
        self.figure("search_over_hnswlib", ratio, "ratio");
        Ok(())
    }

    /// The exact scan beside NumPy; the table has no index.
    fn exact(&mut self, client: &mut Client) -> Result<()> {
        say("the exact scan beside NumPy");
        client.run_if_there(DROP_INDEX)?;
        let mut numpy = Numpy::start(&self.python, &self.folder, &self.data)?;
        let few = self.few();
        let nearest = client.prepare(NEAREST)?;
        let exact = client.ids(&nearest, &few)?;
        self.figure("exact_recall", self.data.recall(&exact, None), "share");
        let ratio = pairs(PAIRS, || {
            let ours = client.seconds(&nearest, &few)? / count(few.len());
            let theirs = numpy.seconds()?;
            eprintln!("    ours {:.2} ms, NumPy {:.2} ms", ours * 1e3, theirs * 1e3);
            Ok(ours / theirs)
        })?;
        self.figure("exact_over_numpy", ratio, "ratio");
        Ok(())
    }

    /// Building and searching beside a real PostgreSQL with pgvector.
    fn pgvector(&mut self, client: &mut Client) -> Result<()> {
        say("loading pgvector");
        let mut postgres = Postgres::start(&self.python, &self.root)?;
        let mut peer = postgres.load(&self.data)?;
        say("building");
        let builds = if self.data.rows.len() < MANY_ROWS { BUILDS } else { 1 };
        let ratio = pairs(builds, || {
            client.run_if_there(DROP_INDEX)?;
            peer.run_if_there(DROP_INDEX)?;
            let start = Instant::now();
            client.run(CREATE_INDEX)?;
            let ours = start.elapsed().as_secs_f64();
            let start = Instant::now();
            peer.run(CREATE_INDEX)?;
            let theirs = start.elapsed().as_secs_f64();
            eprintln!("    ours {ours:.1} s, pgvector {theirs:.1} s");
            Ok(ours / theirs)
        })?;
        self.figure("build_over_pgvector", ratio, "ratio");

        say("searching");
        let queries = self.data.queries.clone();
        let (ours, theirs) = (client.prepare(NEAREST)?, peer.prepare(NEAREST)?);
        let found = client.ids(&ours, &queries)?;
        self.figure("recall", self.data.recall(&found, None), "share");
        let found = peer.ids(&theirs, &queries)?;
        self.figure("recall_pgvector", self.data.recall(&found, None), "share");
        let ratio = pairs(PAIRS, || {
            let ours = client.seconds(&ours, &queries)?;
            let theirs = peer.seconds(&theirs, &queries)?;
            let each = |seconds: f64| seconds / count(queries.len()) * 1e3;
            eprintln!("    ours {:.3} ms, pgvector {:.3} ms", each(ours), each(theirs));
            Ok(theirs / ours)
        })?;
        self.figure("search_over_pgvector", ratio, "ratio");
        let each = client.seconds(&ours, &queries)? / count(queries.len());
        self.figure("search_ms", each * 1e3, "ms");

        say("searching with a filter");
        let (camera, few) = (Some(7), self.few());
        let ours = client.prepare(NEAREST_OF_SOURCE)?;
        let theirs = peer.prepare(NEAREST_OF_SOURCE)?;
        let found = client.ids(&ours, &queries)?;
        self.figure("filtered_recall", self.data.recall(&found, camera), "share");
        let found = peer.ids(&theirs, &few)?;
        self.figure("filtered_recall_pgvector", self.data.recall(&found, camera), "share");
        for (name, statement) in [
            ("filtered_over_pgvector", None),
            ("filtered_over_pgvector_btree", Some("CREATE INDEX ON captions (source)")),
        ] {
            if let Some(statement) = statement {
                peer.run(statement)?;
                peer.run("ANALYZE captions")?;
            }
            let ratio = pairs(PAIRS, || {
                let ours = client.seconds(&ours, &few)?;
                let theirs = peer.seconds(&theirs, &few)?;
                let each = |seconds: f64| seconds / count(few.len()) * 1e3;
                eprintln!("    ours {:.3} ms, pgvector {:.3} ms", each(ours), each(theirs));
                Ok(theirs / ours)
            })?;
            self.figure(name, ratio, "ratio");
        }
        Ok(())
    }

    /// Searching while rows come in.
    fn insertion(&mut self, client: &mut Client) -> Result<()> {
        say("searching while rows come in");
        client.run_if_there(DROP_INDEX)?;
        client.run(CREATE_INDEX)?;
        let nearest = client.prepare(NEAREST)?;
        let ratio = pairs(PAIRS, || {
            let quiet = p99(client.each_seconds(&nearest, &self.data.queries)?);
            let writer = self.ours.write_steadily(&self.data);
            let busy = client.each_seconds(&nearest, &self.data.queries);
            writer.stop();
            Ok(p99(busy?) / quiet)
        })?;
        self.figure("insertion_p99_ratio", ratio, "ratio");
        Ok(())
    }

    /// The first queries, for what takes long.
    fn few(&self) -> Vec<Vector> {
        self.data.queries.iter().take(FEW).cloned().collect()
    }
}

fn number(name: &str, default: usize) -> Result<usize> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} = {text}")),
        Err(_) => Ok(default),
    }
}

fn pairs(count: usize, mut pair: impl FnMut() -> Result<f64>) -> Result<f64> {
    let mut ratios = (0..count).map(|_| pair()).collect::<Result<Vec<_>>>()?;
    ratios.sort_by(f64::total_cmp);
    let middle = ratios.len() / 2;
    Ok(if ratios.len() % 2 == 1 {
        ratios[middle]
    } else {
        f64::midpoint(ratios[middle - 1], ratios[middle])
    })
}

fn p99(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[(seconds.len() * 99 / 100).min(seconds.len() - 1)]
}

#[expect(clippy::cast_precision_loss, reason = "a count")]
fn count(number: usize) -> f64 {
    number as f64
}

fn figure(name: &str, value: f64, unit: &str) -> String {
    let mut line = String::new();
    let _ = write!(line, "figure {name} {value:.4} {unit}");
    eprintln!("    {line}");
    line
}

fn say(what: &str) {
    eprintln!("==> {what}");
}

#[expect(clippy::print_stdout, reason = "the figures are the result")]
fn print(figures: &[String]) {
    for figure in figures {
        println!("{figure}");
    }
}
