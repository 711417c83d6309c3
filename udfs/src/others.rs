//! Small functions of PostgreSQL that DataFusion has not.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, lit, not, when,
};

use crate::vector::writer_of;

/// Registers them.
pub(crate) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    let signature = Signature::any(1, Volatility::Immutable);
    registry.register_udf(Arc::new(ScalarUDF::from(IsFinite { signature })))?;
    Ok(())
}

/// Booleans among the arguments of `concat` as PostgreSQL puts them out, `t` and `f`; a cast to a text would
/// be `true` and `false`. Vectors and bits there and in `format` and its like as pgvector writes them: DataFusion
/// would write lists.
#[derive(Debug)]
pub(crate) struct BooleansInTexts;

impl FunctionRewrite for BooleansInTexts {
    fn name(&self) -> &str {
        "booleans_in_texts"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let Expr::ScalarFunction(ScalarFunction { func, args }) = expr else {
            return Ok(Transformed::no(expr));
        };
        let is_boolean =
            |arg: &Expr| arg.get_type(schema).is_ok_and(|data_type| data_type == DataType::Boolean);
        let is_joined = matches!(func.name(), "concat" | "concat_ws");
        let is_quoted = matches!(func.name(), "format" | "quote_literal" | "quote_nullable");
        let is_changed = |arg: &Expr| {
            let is_written = || writer_of(arg, schema).is_some();
            (is_joined && is_boolean(arg)) || ((is_joined || is_quoted) && is_written())
        };
        if !args.iter().any(is_changed) {
            return Ok(Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })));
        }
        let args = args.into_iter().map(|arg| {
            if let Some(writer) = writer_of(&arg, schema) {
                return Ok(writer.call(vec![arg]));
            }
            if !is_joined || !is_boolean(&arg) {
                return Ok(arg);
            }
            when(arg.clone(), lit("t")).when(not(arg), lit("f")).end()
        });
        let args = args.collect::<Result<Vec<_>>>()?;
        Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })))
    }
}

/// Whether a time is not infinite, which none here is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct IsFinite {
    signature: Signature,
}

impl ScalarUDFImpl for IsFinite {
    fn name(&self) -> &str {
        "isfinite"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [times] = take_function_args(self.name(), args.args)?;
        let times = times.into_array(rows)?;
        let finite = (0..times.len()).map(|row| times.is_valid(row).then_some(true));
        Ok(ColumnarValue::Array(Arc::new(finite.collect::<BooleanArray>())))
    }
}
