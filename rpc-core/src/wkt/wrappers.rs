//! Scalars wrapped in a message, and back.

use bytes::Bytes;

use super::{
    BoolValue, BytesValue, DoubleValue, FloatValue, Int32Value, Int64Value, StringValue,
    UInt32Value, UInt64Value,
};

macro_rules! wrappers {
    ($($wrapper:ident $scalar:ty;)*) => {$(
        impl From<$scalar> for $wrapper {
            fn from(value: $scalar) -> Self {
                Self { value, ..Self::default() }
            }
        }

        impl From<$wrapper> for $scalar {
            fn from(wrapper: $wrapper) -> Self {
                wrapper.value
            }
        }
    )*};
}

wrappers! {
    DoubleValue f64;
    FloatValue f32;
    Int64Value i64;
    UInt64Value u64;
    Int32Value i32;
    UInt32Value u32;
    BoolValue bool;
    StringValue String;
    BytesValue Bytes;
}

impl From<&str> for StringValue {
    fn from(value: &str) -> Self {
        value.to_owned().into()
    }
}
