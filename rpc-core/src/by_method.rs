//! A place for each method, found without a lock.

use std::sync::OnceLock;

use crate::call::MethodInfo;

/// One value a method, by the identity of its static; only ever added to.
///
/// Methods are compiled in, so their number bounds it. A look-up reads one chain of the table,
/// which is short: a program would need hundreds of methods for chains of several.
pub(crate) struct ByMethod<T> {
    chains: Box<[Chain<T>; CHAINS]>,
}

type Chain<T> = OnceLock<Box<Node<T>>>;

struct Node<T> {
    method: &'static MethodInfo,
    value: T,
    next: Chain<T>,
}

impl<T> ByMethod<T> {
    /// The value of a method, if it has one.
    pub(crate) fn find(&self, method: &'static MethodInfo) -> Option<&T> {
        let mut place = self.chain(method);
        loop {
            let node = place.get()?;
            if std::ptr::eq(node.method, method) {
                return Some(&node.value);
            }
            place = &node.next;
        }
    }

    /// The value of a method, made if there is none; of two made at once, one is kept.
    pub(crate) fn find_or_insert(
        &self,
        method: &'static MethodInfo,
        mut make: impl FnMut() -> T,
    ) -> &T {
        let mut place = self.chain(method);
        loop {
            // Losing the race to append gives the winner's node, perhaps of another method.
            let node = place.get_or_init(|| {
                Box::new(Node {
                    method,
                    value: make(),
                    next: OnceLock::new(),
                })
            });
            if std::ptr::eq(node.method, method) {
                return &node.value;
            }
            place = &node.next;
        }
    }

    /// Every value, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chains.iter().flat_map(|chain| {
            let mut place = chain;
            std::iter::from_fn(move || {
                let node = place.get()?;
                place = &node.next;
                Some(&node.value)
            })
        })
    }

    fn chain(&self, method: &'static MethodInfo) -> &Chain<T> {
        // Static descriptions are at least 16 bytes apart, so the low bits tell nothing.
        let address = std::ptr::from_ref(method).addr();
        &self.chains[(address >> 4 ^ address >> 10) % CHAINS]
    }
}

impl<T> Default for ByMethod<T> {
    fn default() -> Self {
        Self {
            chains: Box::new(std::array::from_fn(|_| OnceLock::new())),
        }
    }
}

/// The methods of a large service; a table takes 1 KiB.
const CHAINS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{EMPTY_LAYOUT, MethodKind};

    #[test]
    fn every_method_has_its_own_place_past_the_number_of_chains() {
        let table = ByMethod::default();
        let methods: Vec<&'static MethodInfo> = (0..3 * CHAINS)
            .map(|_| {
                let method =
                    MethodInfo::new("/t.T/M", MethodKind::Unary, &EMPTY_LAYOUT, &EMPTY_LAYOUT);
                &*Box::leak(Box::new(method))
            })
            .collect();
        for (number, method) in methods.iter().enumerate() {
            assert_eq!(table.find(method), None);
            assert_eq!(*table.find_or_insert(method, || number), number);
        }
        for (number, method) in methods.iter().enumerate() {
            assert_eq!(table.find(method), Some(&number));
            assert_eq!(*table.find_or_insert(method, || usize::MAX), number);
        }
        assert_eq!(table.iter().count(), methods.len());
    }
}
