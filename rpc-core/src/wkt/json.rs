//! Values of the shape of JSON, built and read as one would expect.

use std::collections::BTreeMap;

use super::value::Kind;
use super::{FieldMask, ListValue, NullValue, Struct, Value};

impl Value {
    /// The value `null`.
    pub fn null() -> Self {
        Self::of(Kind::NullValue(NullValue::default()))
    }

    fn of(kind: Kind) -> Self {
        Self {
            kind: Some(kind),
            ..Self::default()
        }
    }

    /// Whether it is `null`; a value that was never set counts as such.
    pub fn is_null(&self) -> bool {
        matches!(self.kind, None | Some(Kind::NullValue(_)))
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self.kind {
            Some(Kind::NumberValue(number)) => Some(number),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Some(Kind::StringValue(text)) => Some(text),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self.kind {
            Some(Kind::BoolValue(value)) => Some(value),
            _ => None,
        }
    }

    /// The fields, if it is a struct.
    pub fn as_struct(&self) -> Option<&BTreeMap<String, Self>> {
        match &self.kind {
            Some(Kind::StructValue(value)) => Some(&value.fields),
            _ => None,
        }
    }

    /// The elements, if it is a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        match &self.kind {
            Some(Kind::ListValue(list)) => Some(&list.values),
            _ => None,
        }
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::of(Kind::NumberValue(number))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::of(Kind::BoolValue(value))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::of(Kind::StringValue(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::of(Kind::StringValue(text))
    }
}

impl From<Struct> for Value {
    fn from(value: Struct) -> Self {
        Self::of(Kind::StructValue(value))
    }
}

impl From<ListValue> for Value {
    fn from(list: ListValue) -> Self {
        Self::of(Kind::ListValue(list))
    }
}

impl<V: Into<Self>> From<Vec<V>> for Value {
    fn from(values: Vec<V>) -> Self {
        values.into_iter().collect::<ListValue>().into()
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Struct {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(fields: I) -> Self {
        let fields = fields
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()));
        Self {
            fields: fields.collect(),
            ..Self::default()
        }
    }
}

impl<V: Into<Value>> FromIterator<V> for ListValue {
    fn from_iter<I: IntoIterator<Item = V>>(values: I) -> Self {
        Self {
            values: values.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}

impl<P: Into<String>> FromIterator<P> for FieldMask {
    fn from_iter<I: IntoIterator<Item = P>>(paths: I) -> Self {
        Self {
            paths: paths.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_each_shape_is_read_as_what_it_is() {
        let person: Struct = [
            ("name", Value::from("Ada")),
            ("age", 36.0.into()),
            ("living", false.into()),
            ("tags", vec!["a", "b"].into()),
            ("none", Value::null()),
        ]
        .into_iter()
        .collect();
        let value = Value::from(person);
        let fields = value.as_struct().unwrap();
        assert_eq!(fields["name"].as_text(), Some("Ada"));
        assert_eq!(fields["age"].as_number(), Some(36.0));
        assert_eq!(fields["living"].as_bool(), Some(false));
        assert_eq!(fields["tags"].as_list().unwrap()[1].as_text(), Some("b"));
        assert!(fields["none"].is_null() && Value::default().is_null());
        assert_eq!((value.as_text(), value.as_list().is_none()), (None, true));
    }
}
