//! `vigil snapshot`: a frame as a picture, with what was seen in it.

use std::fs;
use std::io::{self, Cursor, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use image::ImageFormat;
use tokio_postgres::types::Type;
use vigil_models::BBox;

use super::annotate::{self, Mark};
use super::embedded;
use super::error::CliError;
use super::places::{ConfigArguments, DEFAULT_LISTEN};
use super::remote::Remote;

/// Save a frame as PNG, with boxes, classes, track ids and confidences drawn on it
///
/// The server is asked for the picture and for the detections in it. Key frames come from the
/// store; others are decoded again when the source still can.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  vigil snapshot lobby 120 -o lobby-120.png")]
pub(super) struct SnapshotArguments {
    /// Name of the source
    source: String,

    /// Number of the frame, as in frames.frame_number
    #[arg(allow_negative_numbers = true)]
    frame: i64,

    /// File to write
    #[arg(short, long, value_name = "FILE.png")]
    output: PathBuf,

    /// Only the picture, nothing drawn
    #[arg(long)]
    plain: bool,

    /// Draw boxes that belong to a track or have at least this confidence
    #[arg(long, value_name = "0..1", default_value_t = 0.5, conflicts_with = "plain")]
    min_confidence: f32,

    /// The server to ask [default: where the configuration says that it listens, else
    /// postgres://127.0.0.1:7432/vigil]
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    #[command(flatten)]
    config: ConfigArguments,
}

const PICTURE: &str = "SELECT frame_image($1, $2)";

const DETECTIONS: &str = "SELECT class_name, track_id, confidence, x1, y1, x2, y2 \
    FROM detections WHERE source = $1 AND frame_number = $2 \
    ORDER BY confidence, track_id, x1, y1";

/// Runs the command.
pub(super) fn snapshot(arguments: SnapshotArguments) -> Result<(), CliError> {
    let url = match &arguments.url {
        Some(url) => url.clone(),
        None => {
            let config = arguments.config.read()?;
            let listen = config.listen.unwrap_or_else(|| DEFAULT_LISTEN.to_owned());
            format!("postgres://{}/vigil", reachable(&listen))
        }
    };
    let (jpeg, marks) = embedded::runtime()?.block_on(ask(&url, &arguments))?;
    let mut picture = image::load_from_memory(&jpeg)
        .map_err(|error| CliError::Picture(error.to_string()))?
        .into_rgb8();
    annotate::draw(&mut picture, &marks);
    let mut png = Cursor::new(vec![]);
    picture
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|error| CliError::Picture(error.to_string()))?;
    fs::write(&arguments.output, png.into_inner())
        .map_err(|source| CliError::Write { path: arguments.output.clone(), source })?;
    let (width, height) = picture.dimensions();
    writeln!(
        io::stdout(),
        "{}: frame {} of {}, {width}x{height}, {} objects drawn",
        arguments.output.display(),
        arguments.frame,
        arguments.source,
        marks.len()
    )?;
    Ok(())
}

/// The address at which a server that listens at `listen` is reached from its own machine.
fn reachable(listen: &str) -> String {
    match listen.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_unspecified() => {
            let loopback = match address {
                SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            };
            SocketAddr::new(loopback, address.port()).to_string()
        }
        _ => listen.to_owned(),
    }
}

/// The picture as JPEG, and what is to be drawn on it, the least confident first.
async fn ask(url: &str, arguments: &SnapshotArguments) -> Result<(Vec<u8>, Vec<Mark>), CliError> {
    let client = Remote::connect(url).await?.client;
    let types = [Type::TEXT, Type::INT8];
    let statement = client.prepare_typed(PICTURE, &types).await?;
    let row = client.query_one(&statement, &[&arguments.source, &arguments.frame]).await?;
    let jpeg: Option<Vec<u8>> = row.try_get(0)?;
    let jpeg = jpeg.ok_or_else(|| CliError::Picture("there is none".into()))?;
    if arguments.plain {
        return Ok((jpeg, vec![]));
    }
    let statement = client.prepare_typed(DETECTIONS, &types).await?;
    let rows = client.query(&statement, &[&arguments.source, &arguments.frame]).await?;
    let mut marks = vec![];
    for row in rows {
        let mark = Mark {
            class_name: row.try_get(0)?,
            track_id: row.try_get(1)?,
            confidence: row.try_get(2)?,
            bbox_in_frame: BBox::new(
                row.try_get(3)?,
                row.try_get(4)?,
                row.try_get(5)?,
                row.try_get(6)?,
            ),
        };
        if mark.track_id.is_some() || mark.confidence >= arguments.min_confidence {
            marks.push(mark);
        }
    }
    Ok((jpeg, marks))
}
