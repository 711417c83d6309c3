//! Values in text as PostgreSQL writes them, for the wire and for whoever prints results without
//! it: those whose texts Arrow and pgwire spell in another way.

mod array;
mod float;
mod interval;
mod timestamp;

pub use self::array::array;
pub use self::float::{float4, float8};
pub use self::interval::{interval, intervals};
pub(crate) use self::timestamp::timestamps;
