//! Rows as `COPY … TO STDOUT` writes them: text, CSV, binary.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::{BufMut, Bytes, BytesMut};
use datafusion::execution::SendableRecordBatchStream;
use pgwire::api::portal::Format;
use pgwire::error::PgWireResult;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::copy::{CopyData, CopyDone, CopyOutResponse, MESSAGE_TYPE_BYTE_COPY_DATA};

use super::cells::NULL_LENGTH;
use super::client::{Answering, Client, complete, make_room, say};
use super::errors::protocol_error;
use super::rows::{Style, columns, set_length};
use crate::{CopyFormat, CopyOptions, ForceQuote, Outcome};

/// What a file in PostgreSQL's binary format begins with: its signature, no flags, no extension.
const BINARY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What it ends with: a row of -1 fields.
const BINARY_TRAILER: &[u8] = b"\xff\xff";

/// Sends all rows and the command tag.
pub(super) async fn send(
    client: &mut Client,
    schema: &SchemaRef,
    batches: SendableRecordBatchStream,
    options: &CopyOptions,
    style: Style,
) -> PgWireResult<()> {
    let is_binary = options.format == CopyFormat::Binary;
    let format = if is_binary { Format::UnifiedBinary } else { Format::UnifiedText };
    let columns = Arc::new(columns(schema, &format, Some(&style))?);
    let mut answering = Answering::new(columns, style, batches, "COPY".into());
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let writer = Writer::new(options, &names);
    let count = i16::try_from(names.len())
        .map_err(|_| protocol_error("there are more columns than COPY can count"))?;
    let formats = vec![i16::from(is_binary); names.len()];
    let response = CopyOutResponse::new(i8::from(is_binary), count, formats);
    say(client, PgWireBackendMessage::CopyOutResponse(response)).await?;
    let mut header = writer.header(&names);
    // In binary the header comes in one message with the first row, as psycopg expects.
    if !is_binary && let Some(header) = header.take() {
        say(client, data(header)).await?;
    }
    let (mut written, mut fields) = (0, BytesMut::new());
    while let Some(rows) = answering.rows().await? {
        written += rows.write_with(client.write_buffer_mut(), usize::MAX, |cells, row, out| {
            fields.clear();
            cells.write(row, &mut fields)?;
            let start = out.len();
            out.put_u8(MESSAGE_TYPE_BYTE_COPY_DATA);
            out.put_u32(0);
            out.put_slice(header.take().as_deref().unwrap_or_default());
            writer.row(&fields, out)?;
            set_length(out, start)
        })?;
        make_room(client).await?;
    }
    if is_binary {
        let trailer = [header.take().as_deref().unwrap_or_default(), BINARY_TRAILER].concat();
        say(client, data(trailer.into())).await?;
    }
    say(client, PgWireBackendMessage::CopyDone(CopyDone::new())).await?;
    Ok(complete(client, Outcome::command_tag(&answering.tag, written)).await?)
}

fn data(bytes: Bytes) -> PgWireBackendMessage {
    PgWireBackendMessage::CopyData(CopyData::new(bytes))
}

/// Writes rows in one format.
struct Writer<'a> {
    options: &'a CopyOptions,
    /// Which columns of CSV are always quoted.
    forced: Vec<bool>,
}

impl<'a> Writer<'a> {
    fn new(options: &'a CopyOptions, names: &[&str]) -> Self {
        let is_forced = |name: &&str| match &options.force_quote {
            ForceQuote::All => true,
            ForceQuote::Columns(columns) => columns.iter().any(|column| column == name),
        };
        Self { options, forced: names.iter().map(is_forced).collect() }
    }

    /// What comes before the rows.
    fn header(&self, names: &[&str]) -> Option<Bytes> {
        match self.options.format {
            CopyFormat::Binary => Some(Bytes::from_static(BINARY_HEADER)),
            CopyFormat::Text | CopyFormat::Csv if self.options.header => {
                let mut line = BytesMut::new();
                for (at, name) in names.iter().enumerate() {
                    self.separate(at, &mut line);
                    match self.options.format {
                        CopyFormat::Csv => self.csv(name.as_bytes(), false, false, &mut line),
                        _ => self.text(name.as_bytes(), &mut line),
                    }
                }
                line.put_u8(b'\n');
                Some(line.freeze())
            }
            CopyFormat::Text | CopyFormat::Csv => None,
        }
    }

    /// One row, whose fields come with a length before each.
    fn row(&self, fields: &[u8], line: &mut BytesMut) -> PgWireResult<()> {
        if self.options.format == CopyFormat::Binary {
            line.put_u16(u16::try_from(self.forced.len()).unwrap_or(u16::MAX));
            line.put_slice(fields);
            return Ok(());
        }
        let is_alone = self.forced.len() == 1;
        let mut rest = fields;
        for at in 0..self.forced.len() {
            let Some((length, behind)) = rest.split_first_chunk::<4>() else {
                return Err(protocol_error("a row ended early"));
            };
            self.separate(at, line);
            let length = i32::from_be_bytes(*length);
            rest = behind;
            if length == NULL_LENGTH {
                line.put_slice(self.options.null.as_bytes());
                continue;
            }
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let Some((value, behind)) = rest.split_at_checked(length) else {
                return Err(protocol_error("a row ended early"));
            };
            rest = behind;
            match self.options.format {
                CopyFormat::Csv => self.csv(value, self.forced[at], is_alone, line),
                _ => self.text(value, line),
            }
        }
        line.put_u8(b'\n');
        Ok(())
    }

    fn separate(&self, at: usize, line: &mut BytesMut) {
        if at > 0 {
            line.put_u8(self.options.delimiter);
        }
    }

    fn text(&self, value: &[u8], line: &mut BytesMut) {
        for byte in value {
            let escaped = match byte {
                8 => b'b',
                12 => b'f',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                11 => b'v',
                b'\\' => b'\\',
                byte if *byte == self.options.delimiter => *byte,
                byte => {
                    line.put_u8(*byte);
                    continue;
                }
            };
            line.put_u8(b'\\');
            line.put_u8(escaped);
        }
    }

    fn csv(&self, value: &[u8], is_forced: bool, is_alone: bool, line: &mut BytesMut) {
        let CopyOptions { delimiter, quote, escape, null, .. } = self.options;
        let special =
            |byte: &u8| *byte == *delimiter || *byte == *quote || matches!(byte, b'\n' | b'\r');
        let needs_quotes = is_forced
            || value == null.as_bytes()
            || (is_alone && value == b"\\.")
            || value.iter().any(special);
        if !needs_quotes {
            line.put_slice(value);
            return;
        }
        line.put_u8(*quote);
        for byte in value {
            if *byte == *quote || *byte == *escape {
                line.put_u8(*escape);
            }
            line.put_u8(*byte);
        }
        line.put_u8(*quote);
    }
}
