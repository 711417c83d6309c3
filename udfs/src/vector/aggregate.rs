//! `sum` and `avg` of vectors, and of everything that DataFusion's own take: these stand in their
//! place and hand them whatever is no vector. Sums of whole numbers are widened (`whole_sums`).

use std::mem::size_of_val;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{
    AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs,
};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, Documentation, Expr,
    GroupsAccumulator, Operator, ReversedUDAF, SetMonotonicity, Signature, StatisticsArgs,
    Volatility,
};
use datafusion::scalar::ScalarValue;

use super::distance::list_of;
use super::kind::VectorKind;
use super::operand::Operand;
use super::types::{field_of, item, operand_type};
use super::whole_sums;
use crate::doc::{Example, FunctionDoc};
use crate::error::UdfError;

static SUM: FunctionDoc = FunctionDoc {
    name: "sum",
    section: super::SECTION,
    syntax: &[
        "sum(vector) → vector",
        "sum(bigint) → numeric",
        "sum(integer) → bigint",
        "sum(float8) → float8",
    ],
    description: "The sums of the elements of all vectors that are not NULL; NULL without any. Vectors of different lengths are an error, and so is a sum that `float4` cannot hold.",
    arguments: &[("vector", "a `vector`")],
    examples: &[Example {
        sql: "SELECT sum(v) FROM (VALUES ('[1,2]'::vector), ('[3,5]'::vector)) AS t (v)",
        result: "[4,7]",
    }],
};

static AVG: FunctionDoc = FunctionDoc {
    name: "avg",
    section: super::SECTION,
    syntax: &["avg(vector) → vector", "avg(number) → float8"],
    description: "The means of the elements of all vectors that are not NULL; NULL without any. Vectors of different lengths are an error. The mean of whole numbers is a `float8`, where PostgreSQL has a `numeric`.",
    arguments: &[("vector", "a `vector`")],
    examples: &[Example {
        sql: "SELECT avg(v) FROM (VALUES ('[1,2]'::vector), ('[3,5]'::vector)) AS t (v)",
        result: "[2,3.5]",
    }],
};

/// What is written about the aggregates.
pub fn aggregate_docs() -> Vec<&'static FunctionDoc> {
    vec![&SUM, &AVG]
}

/// Puts the aggregates in the place of those that the registry has.
pub(crate) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for (doc, kind) in [(&SUM, Kind::Sum), (&AVG, Kind::Mean)] {
        let numbers = registry.udaf(doc.name)?;
        // It may be here for the second time.
        if !numbers.inner().is::<OrVectors>() {
            let signature = Signature::user_defined(Volatility::Immutable);
            let both = OrVectors { kind, numbers, signature };
            registry.register_udaf(Arc::new(AggregateUDF::from(both)))?;
        }
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Sum,
    Mean,
}

/// An aggregate of numbers that takes vectors as well.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OrVectors {
    kind: Kind,
    numbers: Arc<AggregateUDF>,
    signature: Signature,
}

fn is_vector(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
        && operand_type(data_type).is_some()
}

fn has_vectors(fields: &[FieldRef]) -> bool {
    fields.first().is_some_and(|field| is_vector(field.data_type()))
}

impl OrVectors {
    /// The type of the sum, if it is one of whole numbers of this type.
    fn whole_sum(&self, data_type: &DataType) -> Option<DataType> {
        match self.kind {
            Kind::Sum => whole_sums::sum_type(data_type),
            Kind::Mean => None,
        }
    }

    fn sums_whole(&self, fields: &[FieldRef]) -> bool {
        fields.first().is_some_and(|field| self.whole_sum(field.data_type()).is_some())
    }
}

impl AggregateUDFImpl for OrVectors {
    fn name(&self) -> &str {
        self.numbers.name()
    }

    fn aliases(&self) -> &[String] {
        self.numbers.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if let [vector] = types
            && is_vector(vector)
        {
            return Ok(operand_type(vector).into_iter().collect());
        }
        if let [number] = types
            && self.whole_sum(number).is_some()
        {
            return Ok(types.to_vec());
        }
        let field = |data_type: &DataType| Arc::new(Field::new("f", data_type.clone(), true));
        let fields: Vec<FieldRef> = types.iter().map(field).collect();
        let fields = fields_with_udf(&fields, self.numbers.as_ref())?;
        Ok(fields.iter().map(|field| field.data_type().clone()).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [vector] if is_vector(vector) => Ok(VectorKind::of([vector]).list()),
            [number] => match self.whole_sum(number) {
                Some(sum) => Ok(sum),
                None => self.numbers.return_type(types),
            },
            _ => self.numbers.return_type(types),
        }
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        if has_vectors(fields) {
            return Ok(Arc::new(field_of(VectorKind::of_fields(fields), self.name(), None)));
        }
        if let [number] = fields
            && let Some(sum) = self.whole_sum(number.data_type())
        {
            return Ok(whole_sums::field(self.name(), sum));
        }
        self.numbers.return_field(fields)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if self.sums_whole(args.expr_fields) {
            return whole_sums::accumulator(&self.numbers, args);
        }
        if !has_vectors(args.expr_fields) {
            return self.numbers.accumulator(args);
        }
        if args.is_distinct {
            let function = format!("{}(DISTINCT vector)", self.name());
            return Err(UdfError::Unsupported { what: function }.into());
        }
        let vectors = VectorKind::of_fields(args.expr_fields);
        Ok(Box::new(VectorSums { kind: self.kind, vectors, count: 0, sums: Vec::new() }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if !has_vectors(args.input_fields) {
            return self.numbers.state_fields(args);
        }
        let sums = DataType::List(item(DataType::Float64));
        Ok(vec![
            Arc::new(Field::new(format_state_name(args.name, "count"), DataType::Int64, true)),
            Arc::new(Field::new(format_state_name(args.name, "sums"), sums, true)),
        ])
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !has_vectors(args.expr_fields) && self.numbers.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        if self.sums_whole(args.expr_fields) {
            return whole_sums::groups(&self.numbers, args);
        }
        self.numbers.create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if has_vectors(args.expr_fields) {
            let function = format!("{}(vector) over a window that moves", self.name());
            return Err(UdfError::Unsupported { what: function }.into());
        }
        if self.sums_whole(args.expr_fields) {
            return whole_sums::sliding(&self.numbers, args);
        }
        self.numbers.create_sliding_accumulator(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.numbers.order_sensitivity()
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        self.numbers.simplify()
    }

    fn simplify_expr_op_literal(
        &self,
        function: &AggregateFunction,
        arg: &Expr,
        op: Operator,
        literal: &Expr,
        arg_is_left: bool,
    ) -> Result<Option<Expr>> {
        // It takes a sum and a count of whole numbers for numbers of one type.
        match self.kind {
            Kind::Sum => Ok(None),
            Kind::Mean => self.numbers.inner().simplify_expr_op_literal(
                function,
                arg,
                op,
                literal,
                arg_is_left,
            ),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.numbers.reverse_udf()
    }

    fn value_from_stats(&self, args: &StatisticsArgs) -> Option<ScalarValue> {
        // The sum that statistics keep is of the values' own type.
        match self.kind {
            Kind::Sum => None,
            Kind::Mean => self.numbers.value_from_stats(args),
        }
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.numbers.default_value(data_type)
    }

    fn documentation(&self) -> Option<&Documentation> {
        static SUM_DOCUMENTATION: LazyLock<Documentation> =
            LazyLock::new(|| SUM.to_documentation());
        static AVG_DOCUMENTATION: LazyLock<Documentation> =
            LazyLock::new(|| AVG.to_documentation());
        Some(match self.kind {
            Kind::Sum => &SUM_DOCUMENTATION,
            Kind::Mean => &AVG_DOCUMENTATION,
        })
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.numbers.inner().set_monotonicity(data_type)
    }
}

/// The sums of the elements of some vectors, in `f64` as pgvector's `avg` keeps them.
#[derive(Debug)]
struct VectorSums {
    kind: Kind,
    vectors: VectorKind,
    count: i64,
    sums: Vec<f64>,
}

impl VectorSums {
    fn add(&mut self, vector: &[f64], count: i64) -> Result<(), UdfError> {
        if self.count == 0 {
            self.sums = vector.to_vec();
        } else if self.sums.len() != vector.len() {
            let (known, found) = (self.sums.len(), vector.len());
            return Err(match self.kind {
                Kind::Sum => {
                    UdfError::DifferentDimensions { kind: self.vectors, left: known, right: found }
                }
                Kind::Mean => UdfError::UnexpectedDimensions { expected: known, found },
            });
        } else {
            for (sum, value) in self.sums.iter_mut().zip(vector) {
                *sum += value;
            }
        }
        self.count += count;
        Ok(())
    }
}

impl Accumulator for VectorSums {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [vectors] = values else {
            return internal_err!("an aggregate of vectors takes one argument");
        };
        let operand = Operand::read(&ColumnarValue::Array(Arc::clone(vectors)), self.vectors)?;
        let mut widened = Vec::new();
        for row in 0..vectors.len() {
            if let Some(span) = operand.span(row)? {
                operand.elements.widen_into(span, &mut widened);
                self.add(&widened, 1)?;
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [counts, sums] = states else {
            return internal_err!("an aggregate of vectors has two states");
        };
        let (counts, sums) = (counts.as_primitive::<Int64Type>(), sums.as_list::<i32>());
        for row in 0..counts.len() {
            if counts.is_valid(row) && counts.value(row) > 0 && sums.is_valid(row) {
                let sums = sums.value(row);
                self.add(sums.as_primitive::<Float64Type>().values(), counts.value(row))?;
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: ArrayRef = Arc::new(Float64Array::from(self.sums.clone()));
        let offsets = OffsetBuffer::from_lengths([values.len()]);
        let nulls = (self.count == 0).then(|| NullBuffer::new_null(1));
        let sums = ListArray::try_new(item(DataType::Float64), offsets, values, nulls)?;
        let count: ArrayRef = Arc::new(Int64Array::from(vec![self.count]));
        Ok(vec![ScalarValue::try_from_array(&count, 0)?, ScalarValue::List(Arc::new(sums))])
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean needs no more")]
    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.count == 0 {
            return ScalarValue::try_from(&self.vectors.list());
        }
        let divisor = match self.kind {
            Kind::Sum => 1.0,
            Kind::Mean => self.count as f64,
        };
        let elements = self.sums.iter().map(|sum| self.vectors.nearest((sum / divisor) as f32));
        let elements: Vec<f32> = elements.collect();
        if elements.iter().any(|element| element.is_infinite()) {
            return Err(UdfError::Overflow.into());
        }
        Ok(list_of(self.vectors, elements))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sums.capacity() * size_of::<f64>()
    }
}
