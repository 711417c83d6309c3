//! Functions about sessions: which one this is, who it is, and stopping others.
//!
//! They belong to one session each, and are registered when it begins.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Int32Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::scalar::ScalarValue;
use vigil_udfs::{Example, FunctionDoc};

use crate::SqlError;
use crate::access::{Access, denied};
use crate::activity::{Activity, Backend};

pub(super) static PID_DOC: FunctionDoc = FunctionDoc {
    name: "pg_backend_pid",
    section: "Pictures and system",
    syntax: &["pg_backend_pid() → integer"],
    description: "The number of this session, as `pg_stat_activity.pid` has it.",
    arguments: &[],
    examples: &[Example { sql: "SELECT pg_backend_pid() > 0", result: "t" }],
};

pub(super) static CANCEL_DOC: FunctionDoc = FunctionDoc {
    name: "pg_cancel_backend",
    section: "Pictures and system",
    syntax: &["pg_cancel_backend(pid) → boolean"],
    description: "Stops the statement that a session runs now; false when there is no such session. Sessions of others take a member of `vigil_admin`.",
    arguments: &[("pid", "number of the session, integer")],
    examples: &[Example { sql: "SELECT pg_cancel_backend(1)", result: "f" }],
};

pub(super) static TERMINATE_DOC: FunctionDoc = FunctionDoc {
    name: "pg_terminate_backend",
    section: "Pictures and system",
    syntax: &["pg_terminate_backend(pid) → boolean"],
    description: "Ends a session; false when there is no such session. Sessions of others take a member of `vigil_admin`.",
    arguments: &[("pid", "number of the session, integer")],
    examples: &[Example { sql: "SELECT pg_terminate_backend(1)", result: "f" }],
};

/// The functions of a session.
pub(crate) fn functions(
    activity: &Arc<Activity>,
    backend: &Arc<Backend>,
    access: &Arc<Access>,
) -> Vec<ScalarUDF> {
    [
        ("pg_backend_pid", Kind::Pid),
        ("pg_cancel_backend", Kind::Cancel),
        ("pg_terminate_backend", Kind::Terminate),
        // What `current_user` becomes when a statement is read.
        ("session_user", Kind::User),
    ]
    .map(|(name, kind)| {
        let signature = match kind {
            Kind::Pid | Kind::User => Signature::nullary(Volatility::Stable),
            Kind::Cancel | Kind::Terminate => {
                let integers = [DataType::Int32, DataType::Int64].into_iter();
                let one = integers.map(|integer| TypeSignature::Exact(vec![integer])).collect();
                Signature::one_of(one, Volatility::Volatile)
            }
        };
        ScalarUDF::new_from_impl(SessionFunction {
            name,
            kind,
            signature,
            pid: backend.pid(),
            user: backend.user(),
            activity: Arc::clone(activity),
            access: Arc::clone(access),
        })
    })
    .into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pid,
    User,
    Cancel,
    Terminate,
}

#[derive(Debug)]
struct SessionFunction {
    name: &'static str,
    kind: Kind,
    signature: Signature,
    pid: i32,
    user: String,
    activity: Arc<Activity>,
    access: Arc<Access>,
}

impl PartialEq for SessionFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.pid == other.pid
    }
}

impl Eq for SessionFunction {}

impl Hash for SessionFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.pid.hash(state);
    }
}

impl SessionFunction {
    /// Stops or ends the session `pid`; false when there is none.
    fn stop(&self, pid: i32) -> Result<bool, SqlError> {
        let Some(backend) = self.activity.get(pid) else { return Ok(false) };
        let is_own = backend.logged_in_as().as_deref() == self.access.role();
        if !is_own && !self.access.privileges()?.is_admin {
            let (message, what) = match self.kind {
                Kind::Terminate => ("permission denied to terminate process", "terminate"),
                _ => ("permission denied to cancel query", "cancel"),
            };
            let hint = format!("Only members of vigil_admin may {what} the sessions of others.");
            return Err(denied(message.into(), Some(&hint)));
        }
        match self.kind {
            Kind::Terminate => backend.terminate(),
            _ => backend.cancel(),
        }
        Ok(true)
    }
}

impl ScalarUDFImpl for SessionFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::Pid => DataType::Int32,
            Kind::User => DataType::Utf8,
            Kind::Cancel | Kind::Terminate => DataType::Boolean,
        })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match self.kind {
            Kind::Pid => Ok(ColumnarValue::Scalar(ScalarValue::Int32(Some(self.pid)))),
            Kind::User => Ok(ColumnarValue::Scalar(ScalarValue::Utf8(Some(self.user.clone())))),
            Kind::Cancel | Kind::Terminate => {
                let pids = arguments.args[0].to_array(arguments.number_rows)?;
                let pids = arrow::compute::cast(&pids, &DataType::Int32)?;
                let pids = pids.as_primitive::<Int32Type>();
                let stopped = (0..pids.len()).map(|row| {
                    if pids.is_null(row) {
                        return Ok(None);
                    }
                    self.stop(pids.value(row)).map(Some)
                });
                let stopped = stopped
                    .collect::<Result<BooleanArray, SqlError>>()
                    .map_err(|error| DataFusionError::External(Box::new(error)))?;
                Ok(ColumnarValue::Array(Arc::new(stopped) as ArrayRef))
            }
        }
    }
}
