//! `frame_image(source, frame_number)`: a frame as JPEG.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder};
use arrow::datatypes::{DataType, Int64Type};
use async_trait::async_trait;
use datafusion::common::exec_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use vigil_udfs::{Example, FunctionDoc};

use crate::Engine;

pub(super) static DOC: FunctionDoc = FunctionDoc {
    name: "frame_image",
    section: "Pictures and system",
    syntax: &["frame_image(source, frame_number) → bytea"],
    description: "A frame as JPEG. Key frames come from the store; others are decoded again while the source's file is there. A frame that does not exist is an error. A role needs a grant on the source, on the schema or `vigil_reader`; one on the table `frames` gives no pictures.",
    arguments: &[
        ("source", "name of the source, text"),
        ("frame_number", "number of the frame in the video, from 0, bigint"),
    ],
    examples: &[Example {
        sql: "SELECT encode(frame_image('lobby', 0), 'hex') LIKE 'ffd8%'",
        result: "t",
    }],
};

/// The function over `engine`.
pub(super) fn function(engine: Arc<dyn Engine>) -> ScalarUDF {
    let types = vec![DataType::Utf8, DataType::Int64];
    let signature = Signature::exact(types, Volatility::Volatile);
    AsyncScalarUDF::new(Arc::new(FrameImage { signature, engine })).into_scalar_udf()
}

/// Two instances are the same function when they ask the same engine.
#[derive(Debug)]
struct FrameImage {
    signature: Signature,
    engine: Arc<dyn Engine>,
}

impl PartialEq for FrameImage {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.engine, &other.engine)
    }
}

impl Eq for FrameImage {}

impl Hash for FrameImage {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.engine).hash(state);
    }
}

impl ScalarUDFImpl for FrameImage {
    fn name(&self) -> &str {
        "frame_image"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("frame_image() waits for the engine and cannot be called here")
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for FrameImage {
    async fn invoke_async_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let [sources, frames] = arguments.args.as_slice() else {
            return exec_err!("frame_image() takes a source and a frame number");
        };
        let sources = sources.to_array(rows)?;
        let frames = frames.to_array(rows)?;
        let sources = sources.as_string::<i32>();
        let frames = frames.as_primitive::<Int64Type>();
        let mut images = BinaryBuilder::new();
        for row in 0..rows {
            if sources.is_null(row) || frames.is_null(row) {
                images.append_null();
                continue;
            }
            let image = self
                .engine
                .frame_image(sources.value(row), frames.value(row))
                .await
                .map_err(|error| DataFusionError::External(Box::new(error)))?;
            images.append_value(&image);
        }
        Ok(ColumnarValue::Array(Arc::new(images.finish()) as ArrayRef))
    }
}
