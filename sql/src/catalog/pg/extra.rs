//! Tables of datafusion-pg-catalog with rows of ours behind its own.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int16Array, ListArray, RecordBatch, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::physical_plan::collect;
use datafusion::scalar::ScalarValue;

use super::relations::Relations;
use crate::catalog::computed::ComputedRows;

/// The rows to add, and what is to be said otherwise of those that are there.
pub(super) trait Extra: fmt::Debug + Send + Sync + 'static {
    /// Rows for a table of this schema.
    fn rows(&self, relations: &Relations, schema: &SchemaRef) -> Result<RecordBatch>;

    /// A batch of the library's rows, put right.
    fn corrected(&self, _relations: &Relations, batch: RecordBatch) -> Result<RecordBatch> {
        Ok(batch)
    }
}

/// A table with such rows.
#[derive(Debug)]
pub(super) struct Extended<E> {
    pub(super) inner: Arc<dyn TableProvider>,
    pub(super) relations: Arc<Relations>,
    pub(super) extra: E,
}

#[async_trait]
impl<E: Extra> ComputedRows for Extended<E> {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    async fn batches(&self, session: &dyn Session) -> Result<Vec<RecordBatch>> {
        let plan = self.inner.scan(session, None, &[], None).await?;
        let batches = collect(plan, session.task_ctx()).await?;
        let relations = self.relations.seen_in(session)?;
        let corrected = batches.into_iter().map(|batch| self.extra.corrected(&relations, batch));
        let mut batches = corrected.collect::<Result<Vec<_>>>()?;
        batches.push(self.extra.rows(&relations, &self.schema())?);
        Ok(batches)
    }
}

/// A column of rows to add.
pub(super) enum Values {
    Of(ArrayRef),
    /// Arrays of numbers of columns, as the table has arrays: as lists or as their text.
    Numbers(Vec<Option<Vec<i16>>>),
}

/// Rows of a schema; columns that `column` does not give are NULL, or nothing where they must be
/// something.
pub(super) fn batch(
    schema: &SchemaRef,
    rows: usize,
    column: impl Fn(&str) -> Option<Values>,
) -> Result<RecordBatch> {
    let arrays = schema.fields().iter().map(|field| match column(field.name()) {
        Some(Values::Of(array)) => Ok(cast(&array, field.data_type())?),
        Some(Values::Numbers(numbers)) => numbers_as(&numbers, field),
        None if field.is_nullable() => Ok(arrow::array::new_null_array(field.data_type(), rows)),
        None => ScalarValue::new_default(field.data_type())?.to_array_of_size(rows),
    });
    Ok(RecordBatch::try_new(Arc::clone(schema), arrays.collect::<Result<Vec<_>>>()?)?)
}

fn numbers_as(numbers: &[Option<Vec<i16>>], field: &Field) -> Result<ArrayRef> {
    let DataType::List(item) = field.data_type() else {
        // `int2vector` is written with spaces, an array with braces.
        let is_vector = field.name() == "indkey";
        let texts = numbers.iter().map(|numbers| {
            let words: Vec<String> = numbers.as_ref()?.iter().map(ToString::to_string).collect();
            Some(if is_vector { words.join(" ") } else { format!("{{{}}}", words.join(",")) })
        });
        return Ok(cast(
            &(Arc::new(texts.collect::<StringArray>()) as ArrayRef),
            field.data_type(),
        )?);
    };
    let lengths = numbers.iter().map(|numbers| numbers.as_ref().map_or(0, Vec::len));
    let offsets = OffsetBuffer::from_lengths(lengths);
    let flat: Int16Array = numbers.iter().flatten().flatten().copied().collect::<Vec<_>>().into();
    let values = cast(&(Arc::new(flat) as ArrayRef), item.data_type())?;
    let nulls = numbers.iter().map(Option::is_some).collect::<Vec<_>>().into();
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, Some(nulls))?))
}
