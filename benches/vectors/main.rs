//! `make bench-vectors`: search by meaning beside pgvector, hnswlib and NumPy, in one run.
//!
//! Flickr8k's sentences are embedded with MiniLM; perturbed copies of them make up the rows
//! (`VIGIL_BENCH_ROWS`, 100,000 without it, in whole chunks of 256; `VIGIL_BENCH_QUERIES`, 500). All indexes have m = 16 and
//! ef_construction = 200 and are searched with ef_search = 100 by cosine distance. Two sides run in
//! turn, A B A B; what is told is the median of the pairs' ratios.
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
//!   with the least ef that gives at least its recall.
//! * `exact_over_numpy`: seconds of `ORDER BY … LIMIT 10` without an index, over the product of
//!   NumPy's matrix and the query alone.
//! * `insertion_p99_ratio`: the 99th percentile of searches while rows come in, over that without.
//! * `flickr8k_r1_gap`, `_r5_`, `_r10_`: how much less often a search of the graph finds another
//!   caption of the same image than an exact search does.

mod data;
mod graph;
mod ours;
mod peers;
mod wire;

use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use vigil::index::Graph;

use self::data::Data;
use self::ours::Ours;
use self::peers::{HnswLib, Numpy, Postgres};

/// Pairs of a run of ours and a run of a peer.
const PAIRS: usize = 5;
/// The same of builds, which take long.
const BUILDS: usize = 2;
/// Rows that a query asks for.
const K: usize = 10;

const CREATE_INDEX: &str = "CREATE INDEX captions_embedding_idx ON captions USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 200)";
const DROP_INDEX: &str = "DROP INDEX captions_embedding_idx";
const NEAREST: &str =
    "SELECT frame_number FROM captions ORDER BY embedding <=> $1::vector LIMIT 10";
const NEAREST_OF_SOURCE: &str = "SELECT frame_number FROM captions WHERE source = 'camera-7' ORDER BY embedding <=> $1::vector LIMIT 10";

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = vigil_test_data::root();
    let number = |name: &str, default: usize| -> Result<usize> {
        match std::env::var(name) {
            Ok(text) => text.parse().with_context(|| format!("{name} = {text}")),
            Err(_) => Ok(default),
        }
    };
    // Whole chunks, so that the graph alone has the rows that hnswlib has.
    let rows = (number("VIGIL_BENCH_ROWS", 100_000)? / Graph::CHUNK).max(1) * Graph::CHUNK;
    let queries = number("VIGIL_BENCH_QUERIES", 500)?;
    let mut ours = Ours::start(&shared)?;
    say("embedding sentences");
    let data = Data::new(&shared, root, &ours, rows, queries)?;
    let python = root.join(".vigil/bench-vectors/bin/python");
    let folder = data.write(root)?;
    let mut figures = Vec::new();

    say("Flickr8k's images");
    for (k, gap) in graph::image_recall_gaps(&data) {
        figures.push(figure(&format!("flickr8k_r{k}_gap"), gap, "share"));
    }

    say("the graph beside hnswlib");
    let mut hnswlib = HnswLib::start(&python, &folder, &data)?;
    let own = graph::build(&data.rows);
    let theirs = hnswlib.recall(&data)?;
    let ef = graph::ef_for(&own, &data, theirs);
    figures.push(figure("hnswlib_recall", theirs, "share"));
    figures.push(figure("hnswlib_equal_ef", count(ef), "ef"));
    let ratio = pairs(PAIRS, || {
        let ours = graph::seconds(&own, &data, ef);
        Ok(hnswlib.seconds()? / ours)
    })?;
    figures.push(figure("search_over_hnswlib", ratio, "ratio"));
    drop((own, hnswlib));

    say("loading");
    let mut client = ours.load(&data)?;
    let mut postgres = Postgres::start(&python, root)?;
    let mut peer = postgres.load(&data)?;

    say("the exact scan beside NumPy");
    let mut numpy = Numpy::start(&python, &folder, &data)?;
    let few: Vec<_> = data.queries.iter().take(50).cloned().collect();
    let nearest = client.prepare(NEAREST)?;
    let exact = client.ids(&nearest, &few)?;
    figures.push(figure("exact_recall", data.recall(&exact, None), "share"));
    let ratio = pairs(PAIRS, || {
        let ours = client.seconds(&nearest, &few)? / count(few.len());
        Ok(ours / numpy.seconds()?)
    })?;
    figures.push(figure("exact_over_numpy", ratio, "ratio"));
    drop(numpy);

    say("building");
    let ratio = pairs(BUILDS, || {
        client.run_if_there(DROP_INDEX)?;
        peer.run_if_there(DROP_INDEX)?;
        let start = Instant::now();
        client.run(CREATE_INDEX)?;
        let ours = start.elapsed().as_secs_f64();
        let start = Instant::now();
        peer.run(CREATE_INDEX)?;
        Ok(ours / start.elapsed().as_secs_f64())
    })?;
    figures.push(figure("build_over_pgvector", ratio, "ratio"));

    say("searching");
    let theirs = peer.prepare(NEAREST)?;
    let found = client.ids(&nearest, &data.queries)?;
    figures.push(figure("recall", data.recall(&found, None), "share"));
    let found = peer.ids(&theirs, &data.queries)?;
    figures.push(figure("recall_pgvector", data.recall(&found, None), "share"));
    let ratio = pairs(PAIRS, || {
        let ours = client.seconds(&nearest, &data.queries)?;
        Ok(peer.seconds(&theirs, &data.queries)? / ours)
    })?;
    figures.push(figure("search_over_pgvector", ratio, "ratio"));
    let each = client.seconds(&nearest, &data.queries)? / count(queries);
    figures.push(figure("search_ms", each * 1e3, "ms"));

    say("searching with a filter");
    let camera = Some(7);
    let ours_filtered = client.prepare(NEAREST_OF_SOURCE)?;
    let theirs_filtered = peer.prepare(NEAREST_OF_SOURCE)?;
    let found = client.ids(&ours_filtered, &data.queries)?;
    figures.push(figure("filtered_recall", data.recall(&found, camera), "share"));
    let found = peer.ids(&theirs_filtered, &few)?;
    figures.push(figure("filtered_recall_pgvector", data.recall(&found, camera), "share"));
    for (name, statement) in [
        ("filtered_over_pgvector", None),
        ("filtered_over_pgvector_btree", Some("CREATE INDEX ON captions (source)")),
    ] {
        if let Some(statement) = statement {
            peer.run(statement)?;
            peer.run("ANALYZE captions")?;
        }
        let ratio = pairs(PAIRS, || {
            let ours = client.seconds(&ours_filtered, &few)?;
            Ok(peer.seconds(&theirs_filtered, &few)? / ours)
        })?;
        figures.push(figure(name, ratio, "ratio"));
    }
    drop((peer, postgres));

    say("searching while rows come in");
    let ratio = pairs(PAIRS, || {
        let quiet = p99(client.each_seconds(&nearest, &data.queries)?);
        let writer = ours.write_steadily(&data);
        let busy = client.each_seconds(&nearest, &data.queries);
        writer.stop();
        Ok(p99(busy?) / quiet)
    })?;
    figures.push(figure("insertion_p99_ratio", ratio, "ratio"));
    print(&figures);
    Ok(())
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
