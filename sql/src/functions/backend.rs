//! Functions about sessions: which one this is, who it is, and stopping others.
//!
//! They belong to one session each, and are registered when it begins.

use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

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
use crate::session::command::channels::MAX_PAYLOAD;

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
        ("session_user", Kind::SessionUser),
        ("current_user", Kind::CurrentUser),
        ("pg_notify", Kind::Notify),
        ("inet_client_addr", Kind::ClientAddress),
        ("inet_client_port", Kind::ClientPort),
    ]
    .map(|(name, kind)| {
        let signature = match kind {
            Kind::Pid
            | Kind::SessionUser
            | Kind::CurrentUser
            | Kind::ClientAddress
            | Kind::ClientPort => Signature::nullary(Volatility::Stable),
            Kind::Notify => Signature::any(2, Volatility::Volatile),
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
            backend: Arc::downgrade(backend),
            activity: Arc::clone(activity),
            access: Arc::clone(access),
        })
    })
    .into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pid,
    SessionUser,
    CurrentUser,
    Cancel,
    Terminate,
    Notify,
    ClientAddress,
    ClientPort,
}

#[derive(Debug)]
struct SessionFunction {
    name: &'static str,
    kind: Kind,
    signature: Signature,
    pid: i32,
    /// A plan may be there a moment longer than its session.
    backend: Weak<Backend>,
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
    /// Where the client is; nowhere for one in this process.
    fn address(&self) -> Option<SocketAddr> {
        self.backend.upgrade()?.doing().address
    }

    /// Notes what the session is to say when the statement is done.
    fn notify(&self, channel: &str, payload: &str) -> Result<(), SqlError> {
        /// PostgreSQL's longest name, bytes.
        const MAX_NAME: usize = 63;
        let message = if channel.is_empty() {
            "channel name cannot be empty"
        } else if channel.len() > MAX_NAME {
            "channel name too long"
        } else if payload.len() >= MAX_PAYLOAD {
            "payload string too long"
        } else {
            if let Some(backend) = self.backend.upgrade() {
                backend.wants_to_say(channel, payload);
            }
            return Ok(());
        };
        Err(SqlError::Query {
            sqlstate: "22023",
            message: message.into(),
            detail: None,
            hint: None,
        })
    }

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
            Kind::Pid | Kind::ClientPort => DataType::Int32,
            Kind::SessionUser | Kind::CurrentUser | Kind::Notify | Kind::ClientAddress => {
                DataType::Utf8
            }
            Kind::Cancel | Kind::Terminate => DataType::Boolean,
        })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match self.kind {
            Kind::Pid => Ok(ColumnarValue::Scalar(ScalarValue::Int32(Some(self.pid)))),
            Kind::SessionUser | Kind::CurrentUser => {
                let user = self.backend.upgrade().map(|backend| match self.kind {
                    Kind::SessionUser => backend.session_user(),
                    _ => backend.current_user(),
                });
                Ok(ColumnarValue::Scalar(ScalarValue::Utf8(user)))
            }
            Kind::ClientAddress => {
                let address = self.address().map(|address| address.ip().to_string());
                Ok(ColumnarValue::Scalar(ScalarValue::Utf8(address)))
            }
            Kind::ClientPort => {
                let port = self.address().map(|address| i32::from(address.port()));
                Ok(ColumnarValue::Scalar(ScalarValue::Int32(port)))
            }
            Kind::Notify => {
                let rows = arguments.number_rows;
                let texts = |at: usize| -> Result<ArrayRef> {
                    let texts = arguments.args[at].to_array(rows)?;
                    Ok(arrow::compute::cast(&texts, &DataType::Utf8)?)
                };
                let (channels, payloads) = (texts(0)?, texts(1)?);
                let (channels, payloads) =
                    (channels.as_string::<i32>(), payloads.as_string::<i32>());
                for row in 0..rows {
                    let channel = if channels.is_null(row) { "" } else { channels.value(row) };
                    let payload = if payloads.is_null(row) { "" } else { payloads.value(row) };
                    self.notify(channel, payload)
                        .map_err(|error| DataFusionError::External(Box::new(error)))?;
                }
                // PostgreSQL's `void` is an empty text.
                Ok(ColumnarValue::Scalar(ScalarValue::Utf8(Some(String::new()))))
            }
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
