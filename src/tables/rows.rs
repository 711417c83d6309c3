//! Rows of the standard tables and how they become Arrow batches of the catalog's schemas.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeListBuilder, Float32Array, Float32Builder, Float64Array,
    Int32Array, Int64Array, ListBuilder, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::error::ArrowError;
use vigil_models::Detection;
use vigil_sql::catalog::{CAPTION_DIMENSIONS, StandardTable};

use crate::track::{KeptAppearance, TrackId};

/// What is the same in all rows of a source.
#[derive(Clone, Debug)]
pub struct RowContext {
    /// The source's name.
    pub source: String,
    /// The detector with version; `None` without one.
    pub detector: Option<String>,
    /// The tracker's name.
    pub tracker: String,
    /// The captioner with version; `None` without one.
    pub captioner: Option<String>,
    /// The embedder with version; `None` without one.
    pub embedder: Option<String>,
    /// The model of appearances with version; `None` where they are not kept.
    pub reid: Option<String>,
    /// The class names by class id.
    pub labels: Arc<[String]>,
}

impl RowContext {
    /// The name of a class.
    pub fn class_name(&self, class_id: u32) -> &str {
        self.labels.get(class_id as usize).map_or("", String::as_str)
    }
}

/// A row of `frames`.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameRow {
    /// Index in the video.
    pub frame_number: i64,
    /// Event time, microseconds since the Unix epoch.
    pub ts_micros: i64,
    /// Presentation time, milliseconds from the first frame.
    pub pts_millis: i64,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Whether it is a key frame.
    pub is_keyframe: bool,
    /// Whether the detector looked at it.
    pub is_detected: bool,
    /// Detections that count.
    pub total_objects: u32,
    /// Different classes among them.
    pub unique_classes: u32,
    /// Their mean confidence.
    pub avg_confidence: Option<f32>,
    /// From leaving the decoder to being tracked, milliseconds.
    pub processing_ms: f64,
    /// Where the picture is.
    pub frame_uri: Option<String>,
}

/// A row of `detections`.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionRow {
    /// The frame.
    pub frame_number: i64,
    /// Its event time, microseconds since the Unix epoch.
    pub ts_micros: i64,
    /// The track, if it belongs to one.
    pub track: Option<TrackId>,
    /// What was found.
    pub detection: Detection,
    /// Whether nothing was found there: the box lies between two that were.
    pub is_interpolated: bool,
}

/// A row of `captions`, and of `embeddings` when it has a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionRow {
    /// The frame.
    pub frame_number: i64,
    /// Its event time, microseconds since the Unix epoch.
    pub ts_micros: i64,
    /// The whole caption.
    pub caption: Option<String>,
    /// The captioner's words.
    pub scene: Option<String>,
    /// Objects by class name.
    pub objects: BTreeMap<String, u32>,
    /// The caption's vector.
    pub embedding: Option<Arc<[f32]>>,
}

pub(super) fn timestamps(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
}

pub(super) fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn optional_texts<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(StringArray::from_iter(values))
}

pub(super) fn bigints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn integers(values: impl IntoIterator<Item = u32>) -> ArrayRef {
    let saturated = values.into_iter().map(|value| i32::try_from(value).unwrap_or(i32::MAX));
    Arc::new(Int32Array::from_iter_values(saturated))
}

pub(super) fn reals(values: impl IntoIterator<Item = f32>) -> ArrayRef {
    Arc::new(Float32Array::from_iter_values(values))
}

/// A batch of `frames`.
///
/// # Errors
/// When the columns do not fit the schema.
pub fn frames(context: &RowContext, rows: &[FrameRow]) -> Result<RecordBatch, ArrowError> {
    let detector = context.detector.as_deref();
    let columns: Vec<ArrayRef> = vec![
        texts(rows.iter().map(|_| context.source.as_str())),
        bigints(rows.iter().map(|row| row.frame_number)),
        timestamps(rows.iter().map(|row| row.ts_micros)),
        bigints(rows.iter().map(|row| row.pts_millis)),
        integers(rows.iter().map(|row| row.width)),
        integers(rows.iter().map(|row| row.height)),
        Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.is_keyframe)))),
        integers(rows.iter().map(|row| row.total_objects)),
        integers(rows.iter().map(|row| row.unique_classes)),
        Arc::new(Float32Array::from_iter(rows.iter().map(|row| row.avg_confidence))),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.processing_ms))),
        optional_texts(rows.iter().map(|row| row.frame_uri.as_deref())),
        optional_texts(rows.iter().map(|row| detector.filter(|_| row.is_detected))),
    ];
    RecordBatch::try_new(StandardTable::Frames.schema(), columns)
}

/// A batch of `detections`.
///
/// # Errors
/// When the columns do not fit the schema.
pub fn detections(context: &RowContext, rows: &[DetectionRow]) -> Result<RecordBatch, ArrowError> {
    let boxes = || rows.iter().map(|row| row.detection.bbox);
    let columns: Vec<ArrayRef> = vec![
        texts(rows.iter().map(|_| context.source.as_str())),
        bigints(rows.iter().map(|row| row.frame_number)),
        timestamps(rows.iter().map(|row| row.ts_micros)),
        Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.track.map(|track| track.0)))),
        integers(rows.iter().map(|row| row.detection.class_id)),
        texts(rows.iter().map(|row| context.class_name(row.detection.class_id))),
        reals(rows.iter().map(|row| row.detection.confidence)),
        reals(boxes().map(|bbox| bbox.x1)),
        reals(boxes().map(|bbox| bbox.y1)),
        reals(boxes().map(|bbox| bbox.x2)),
        reals(boxes().map(|bbox| bbox.y2)),
        reals(boxes().map(|bbox| bbox.center().0)),
        reals(boxes().map(|bbox| bbox.center().1)),
        Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.is_interpolated)))),
        texts(rows.iter().map(|_| context.detector.as_deref().unwrap_or_default())),
    ];
    RecordBatch::try_new(StandardTable::Detections.schema(), columns)
}

/// A batch of `captions`.
///
/// # Errors
/// When the columns do not fit the schema, such as vectors of another length.
pub fn captions(context: &RowContext, rows: &[CaptionRow]) -> Result<RecordBatch, ArrowError> {
    let mut vectors = FixedSizeListBuilder::new(Float32Builder::new(), CAPTION_DIMENSIONS);
    for row in rows {
        let fits = row.embedding.as_deref().filter(|vector| {
            i32::try_from(vector.len()).is_ok_and(|length| length == CAPTION_DIMENSIONS)
        });
        match fits {
            Some(vector) => vectors.values().append_slice(vector),
            None => vectors.values().append_nulls(CAPTION_DIMENSIONS.unsigned_abs() as usize),
        }
        vectors.append(fits.is_some());
    }
    let objects: Vec<String> = rows.iter().map(|row| json_object(&row.objects)).collect();
    let captioner = context.captioner.as_deref();
    let embedder = context.embedder.as_deref();
    let columns: Vec<ArrayRef> = vec![
        texts(rows.iter().map(|_| context.source.as_str())),
        bigints(rows.iter().map(|row| row.frame_number)),
        timestamps(rows.iter().map(|row| row.ts_micros)),
        optional_texts(rows.iter().map(|row| row.caption.as_deref())),
        optional_texts(rows.iter().map(|row| row.scene.as_deref())),
        texts(objects.iter().map(String::as_str)),
        Arc::new(vectors.finish()),
        optional_texts(rows.iter().map(|row| captioner.filter(|_| row.scene.is_some()))),
        optional_texts(rows.iter().map(|row| embedder.filter(|_| row.embedding.is_some()))),
    ];
    RecordBatch::try_new(StandardTable::Captions.schema(), columns)
}

/// A batch of `embeddings`: one row for each caption that has a vector.
///
/// # Errors
/// When the columns do not fit the schema.
pub fn caption_embeddings(
    context: &RowContext,
    rows: &[CaptionRow],
) -> Result<RecordBatch, ArrowError> {
    let rows: Vec<_> = rows.iter().filter(|row| row.embedding.is_some()).collect();
    let mut vectors = ListBuilder::new(Float32Builder::new());
    for row in &rows {
        vectors.values().append_slice(row.embedding.as_deref().unwrap_or_default());
        vectors.append(true);
    }
    let columns: Vec<ArrayRef> = vec![
        texts(rows.iter().map(|_| context.source.as_str())),
        bigints(rows.iter().map(|row| row.frame_number)),
        timestamps(rows.iter().map(|row| row.ts_micros)),
        texts(rows.iter().map(|_| "caption")),
        Arc::new(Int64Array::new_null(rows.len())),
        Arc::new(vectors.finish()),
        texts(rows.iter().map(|_| context.embedder.as_deref().unwrap_or_default())),
    ];
    RecordBatch::try_new(StandardTable::Embeddings.schema(), columns)
}

/// A batch of `embeddings`: one row for each appearance.
///
/// # Errors
/// When the columns do not fit the schema.
pub fn appearance_embeddings(
    context: &RowContext,
    rows: &[KeptAppearance],
) -> Result<RecordBatch, ArrowError> {
    let mut vectors = ListBuilder::new(Float32Builder::new());
    for row in rows {
        vectors.values().append_slice(&row.vector);
        vectors.append(true);
    }
    let columns: Vec<ArrayRef> = vec![
        texts(rows.iter().map(|_| context.source.as_str())),
        bigints(rows.iter().map(|row| row.frame_number)),
        timestamps(rows.iter().map(|row| row.ts_micros)),
        texts(rows.iter().map(|_| "appearance")),
        bigints(rows.iter().map(|row| row.track.0)),
        Arc::new(vectors.finish()),
        texts(rows.iter().map(|_| context.reid.as_deref().unwrap_or_default())),
    ];
    RecordBatch::try_new(StandardTable::Embeddings.schema(), columns)
}

/// A JSON object of counts, keys in alphabetical order.
fn json_object(counts: &BTreeMap<String, u32>) -> String {
    let members: serde_json::Map<String, serde_json::Value> =
        counts.iter().map(|(class, count)| (class.clone(), (*count).into())).collect();
    serde_json::Value::Object(members).to_string()
}
