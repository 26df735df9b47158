//! Typed values that layers attach to a call for each other and for the handler.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

/// Typed values that travel beside a call within one process, at most one of each type.
///
/// Empty ones cost nothing. They never cross the wire.
#[derive(Clone, Default)]
pub struct Extensions(Option<Box<Entries>>);

/// A list, since calls carry a handful of values and hashing would cost more than scanning.
type Entries = Vec<(TypeId, Arc<dyn Any + Send + Sync>)>;

impl Extensions {
    /// No values.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Stores a value, replacing one of the same type.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        let id = TypeId::of::<T>();
        let value: Arc<dyn Any + Send + Sync> = Arc::new(value);
        let entries = self.0.get_or_insert_default();
        match entries.iter_mut().find(|(known, _)| *known == id) {
            Some(entry) => entry.1 = value,
            None => entries.push((id, value)),
        }
    }

    /// The value of a type.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        let id = TypeId::of::<T>();
        let (_, value) = self.0.as_ref()?.iter().find(|(known, _)| *known == id)?;
        value.downcast_ref()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|entries| entries.is_empty())
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.as_ref().map_or(0, |entries| entries.len());
        write!(f, "Extensions({count})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_of_each_type() {
        let mut extensions = Extensions::new();
        assert!(extensions.is_empty());
        extensions.insert(7_u32);
        extensions.insert("name");
        extensions.insert(8_u32);
        assert_eq!(extensions.get::<u32>(), Some(&8));
        assert_eq!(extensions.clone().get::<&str>(), Some(&"name"));
        assert_eq!(extensions.get::<u64>(), None);
    }
}
