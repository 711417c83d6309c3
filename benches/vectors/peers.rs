//! The other side: programs of Python that `peers.py` starts, a line in and a line out.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use bytes::{BufMut, Bytes, BytesMut};

use crate::data::{CAMERAS, DIMENSIONS, Data, Vector};
use crate::wire::Client;

/// Enough for the graph of a million rows: pgvector goes on more slowly on disk without it.
const MAINTENANCE_WORK_MEM: &str = "4GB";

/// A program; it ends with its input.
struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(python: &Path, arguments: &[&str]) -> Result<Self> {
        let script = vigil_test_data::top_level().join("benches/vectors/peers.py");
        let mut child = Command::new(python)
            .arg(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} does not run", python.display()))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self { child, input, output })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(!line.is_empty(), "a peer ended without an answer");
        Ok(line.trim().to_owned())
    }

    fn ask(&mut self, question: &str) -> Result<String> {
        let input = self.input.as_mut().context("no input")?;
        writeln!(input, "{question}")?;
        input.flush()?;
        self.line()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

fn array_program(python: &Path, name: &str, folder: &Path, data: &Data) -> Result<Program> {
    let folder = folder.display().to_string();
    let rows = data.rows.len().to_string();
    let mut program = Program::start(python, &[name, &folder, &rows, &DIMENSIONS.to_string()])?;
    ensure!(program.line()? == "ready", "{name} does not start");
    Ok(program)
}

/// hnswlib.
pub(crate) struct HnswLib(Program);

impl HnswLib {
    /// Builds its index.
    pub(crate) fn start(python: &Path, folder: &Path, data: &Data) -> Result<Self> {
        array_program(python, "hnswlib", folder, data).map(Self)
    }

    /// Its recall@10 with ef = 100.
    pub(crate) fn recall(&mut self, data: &Data) -> Result<f64> {
        let answer = self.0.ask("ids")?;
        let ids = |line: &str| line.split(' ').filter_map(|id| id.parse().ok()).collect();
        let found: Vec<Vec<i64>> = answer.split(';').map(ids).collect();
        Ok(data.recall(&found, None))
    }

    /// Seconds for all queries, on one thread.
    pub(crate) fn seconds(&mut self) -> Result<f64> {
        Ok(self.0.ask("seconds")?.parse()?)
    }
}

/// NumPy.
pub(crate) struct Numpy(Program);

impl Numpy {
    pub(crate) fn start(python: &Path, folder: &Path, data: &Data) -> Result<Self> {
        array_program(python, "numpy", folder, data).map(Self)
    }

    /// Seconds of the product of the matrix and a query, the mean of some.
    pub(crate) fn seconds(&mut self) -> Result<f64> {
        Ok(self.0.ask("seconds")?.parse()?)
    }
}

/// A real PostgreSQL with pgvector.
pub(crate) struct Postgres {
    address: String,
    _program: Program,
}

impl Postgres {
    pub(crate) fn start(python: &Path, root: &Path) -> Result<Self> {
        let folder = root.join(".vigil/bench-vectors-data/postgres");
        let mut program = Program::start(python, &["postgres", &folder.display().to_string()])?;
        let address = program.line()?;
        Ok(Self { address, _program: program })
    }

    /// A connection to a table with the rows, as ours has them and without an index.
    pub(crate) fn load(&mut self, data: &Data) -> Result<Client> {
        let mut client = Client::connect(&self.address)?;
        client.run(&format!(
            "CREATE EXTENSION IF NOT EXISTS vector;
             DROP TABLE IF EXISTS captions;
             CREATE TABLE captions (source text, frame_number bigint, embedding vector(384));
             ALTER TABLE captions ALTER embedding SET STORAGE PLAIN;
             SET maintenance_work_mem = '{MAINTENANCE_WORK_MEM}';
             SET max_parallel_maintenance_workers = 1;
             SET hnsw.ef_search = 100;
             SET hnsw.iterative_scan = strict_order;
             SET jit = off",
        ))?;
        let mut header = BytesMut::from(&b"PGCOPY\n\xff\r\n\0"[..]);
        header.put_slice(&[0; 8]);
        let rows = data.rows.iter().enumerate().map(|(row, vector)| copy_row(row, vector));
        let content =
            std::iter::once(header.freeze()).chain(rows).chain([Bytes::from_static(&[0xff, 0xff])]);
        client.copy("COPY captions FROM STDIN BINARY", content)?;
        client.run("VACUUM ANALYZE captions")?;
        Ok(client)
    }
}

fn copy_row(row: usize, vector: &Vector) -> Bytes {
    let source = format!("camera-{}", row % CAMERAS);
    let mut bytes = BytesMut::new();
    bytes.put_i16(3);
    bytes.put_i32(i32::try_from(source.len()).unwrap_or(0));
    bytes.put_slice(source.as_bytes());
    bytes.put_i32(8);
    bytes.put_i64(i64::try_from(row).unwrap_or(i64::MAX));
    bytes.put_i32(i32::try_from(4 + 4 * vector.len()).unwrap_or(0));
    bytes.put_i16(i16::try_from(vector.len()).unwrap_or(0));
    bytes.put_i16(0);
    vector.iter().for_each(|element| bytes.put_f32(*element));
    bytes.freeze()
}
