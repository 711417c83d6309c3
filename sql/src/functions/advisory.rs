//! Advisory locks: numbers that one session at a time has, `pg_advisory_lock` and its like. A session has them
//! until it gives them back or ends. Shared ones and those of a transaction are not there.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

use super::clock;
use crate::activity::{Activity, Backend, LockKey};

/// The functions of a session.
pub(super) fn functions(activity: &Arc<Activity>, backend: &Arc<Backend>) -> Vec<ScalarUDF> {
    let keys = || vec![TypeSignature::Any(1), TypeSignature::Any(2)];
    [
        ("pg_advisory_lock", Kind::Lock, keys()),
        ("pg_try_advisory_lock", Kind::TryLock, keys()),
        ("pg_advisory_unlock", Kind::Unlock, keys()),
        // asyncpg calls it when a connection goes back to its pool.
        ("pg_advisory_unlock_all", Kind::UnlockAll, vec![TypeSignature::Nullary]),
    ]
    .map(|(name, kind, arguments)| {
        ScalarUDF::new_from_impl(AdvisoryLock {
            name,
            kind,
            signature: Signature::one_of(arguments, Volatility::Volatile),
            pid: backend.pid(),
            activity: Arc::clone(activity),
        })
    })
    .into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lock,
    TryLock,
    Unlock,
    UnlockAll,
}

#[derive(Debug)]
struct AdvisoryLock {
    name: &'static str,
    kind: Kind,
    signature: Signature,
    pid: i32,
    activity: Arc<Activity>,
}

impl PartialEq for AdvisoryLock {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.pid == other.pid
    }
}

impl Eq for AdvisoryLock {}

impl Hash for AdvisoryLock {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.pid.hash(state);
    }
}

impl ScalarUDFImpl for AdvisoryLock {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::TryLock | Kind::Unlock => DataType::Boolean,
            // PostgreSQL's `void` is an empty text.
            Kind::Lock | Kind::UnlockAll => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let locks = self.activity.locks();
        let keys = args
            .args
            .iter()
            .map(|key| Ok(cast(&key.to_array(rows)?, &DataType::Int64)?))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let key = |row: usize| -> Option<LockKey> {
            let numbers = keys.iter().map(|keys| {
                keys.is_valid(row).then(|| keys.as_primitive::<Int64Type>().value(row))
            });
            match numbers.collect::<Option<Vec<i64>>>()?.as_slice() {
                [key] => Some(LockKey::One(*key)),
                [first, second] => Some(LockKey::Two(*first, *second)),
                _ => None,
            }
        };
        let array: ArrayRef = match self.kind {
            Kind::UnlockAll => {
                locks.give_back_all(self.pid);
                Arc::new(StringArray::from(vec![""; rows]))
            }
            Kind::Lock => {
                for key in (0..rows).filter_map(key) {
                    clock::wait_until(|| locks.take(self.pid, key))?;
                }
                let done = (0..rows).map(|row| key(row).map(|_| ""));
                Arc::new(done.collect::<StringArray>())
            }
            Kind::TryLock | Kind::Unlock => {
                let done = (0..rows).map(|row| {
                    let key = key(row)?;
                    Some(match self.kind {
                        Kind::TryLock => locks.take(self.pid, key),
                        _ => locks.give_back(self.pid, key),
                    })
                });
                Arc::new(done.collect::<BooleanArray>())
            }
        };
        Ok(ColumnarValue::Array(array))
    }
}
