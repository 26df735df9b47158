//! Whether what one side writes the other can read in place: chains and closures.
//!
//! Each message has a chain of hashes, one per prefix of its fields. Two revisions of a message are
//! compatible when one's fields are a prefix of the other's, which a single comparison tells. A
//! method compares the closures of its messages: everything reachable from them.

use std::collections::BTreeMap;

use crate::error::WireError;
use crate::layout::{Kind, Layout, LayoutHash};

/// Whether two revisions of one message read each other: the shorter chain is a prefix.
#[must_use]
pub fn chains_agree(left: &[LayoutHash], right: &[LayoutHash]) -> bool {
    match left.len().min(right.len()).checked_sub(1) {
        Some(last) => left[last] == right[last],
        None => false,
    }
}

/// All messages reachable from `root`, itself included, in ascending order of their names.
#[must_use]
pub fn reachable(root: &'static Layout) -> Vec<&'static Layout> {
    let mut found: BTreeMap<&'static str, &'static Layout> = BTreeMap::from([(root.name, root)]);
    let mut open = vec![root];
    while let Some(layout) = open.pop() {
        for field in layout.fields {
            let Kind::Message(nested) = field.kind else {
                continue;
            };
            if found.insert(nested.name, nested).is_none() {
                open.push(nested);
            }
        }
    }
    found.into_values().collect()
}

/// The chains of everything reachable from one message, as a peer announces them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closure {
    chains: BTreeMap<String, Vec<LayoutHash>>,
}

impl Closure {
    /// The chains of everything reachable from `root`.
    #[must_use]
    pub fn of(root: &'static Layout) -> Self {
        let chains = reachable(root).into_iter();
        Self {
            chains: chains
                .map(|it| (it.name.to_owned(), it.chain.to_vec()))
                .collect(),
        }
    }

    /// Whether archives may flow between this side's `root` and the peer whose closure this is:
    /// every message that both know has agreeing chains, and `root` is one of them.
    #[must_use]
    pub fn agrees_with(&self, root: &'static Layout) -> bool {
        self.chains.contains_key(root.name)
            && reachable(root).into_iter().all(|layout| {
                self.chains
                    .get(layout.name)
                    .is_none_or(|chain| chains_agree(chain, layout.chain))
            })
    }

    /// Writes the chains as a peer reads them: for each message the length of its name, the name,
    /// the number of links and the links.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&(self.chains.len() as u32).to_le_bytes());
        for (name, chain) in &self.chains {
            out.extend_from_slice(&(name.len() as u32).to_le_bytes());
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(&(chain.len() as u32).to_le_bytes());
            out.extend(chain.iter().flat_map(|link| link.0));
        }
        out
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    ///
    /// [`WireError::Decode`] if the bytes are truncated, too many, not UTF-8 or out of order.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let mut input = Input { bytes, at: 0 };
        let mut chains = BTreeMap::new();
        for _ in 0..input.count(Self::MESSAGE_BYTES_MIN)? {
            let len = input.count(1)?;
            let name = core::str::from_utf8(input.take(len)?)
                .map_err(|_| input.error("a message name in UTF-8 was expected"))?;
            if chains
                .last_key_value()
                .is_some_and(|(last, _): (&String, _)| last.as_str() >= name)
            {
                return Err(input.error("names in ascending order were expected"));
            }
            let links = input.count(size_of::<LayoutHash>())?;
            let mut chain = Vec::with_capacity(links);
            for _ in 0..links {
                let mut link = LayoutHash::default();
                link.0.copy_from_slice(input.take(size_of::<LayoutHash>())?);
                chain.push(link);
            }
            chains.insert(name.to_owned(), chain);
        }
        if input.at == bytes.len() {
            Ok(Self { chains })
        } else {
            Err(input.error("the end was expected"))
        }
    }

    /// A name's length and a chain's are the least a message takes.
    const MESSAGE_BYTES_MIN: usize = 8;
}

struct Input<'a> {
    bytes: &'a [u8],
    /// `at <= bytes.len()`
    at: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        if len > self.bytes.len() - self.at {
            return Err(self.error("more bytes were expected"));
        }
        self.at += len;
        Ok(&self.bytes[self.at - len..self.at])
    }

    /// A count of things that take at least `each` bytes, so that none can promise more than came.
    fn count(&mut self, each: usize) -> Result<usize, WireError> {
        let mut word = [0; 4];
        word.copy_from_slice(self.take(4)?);
        let count = u32::from_le_bytes(word) as usize;
        if count > (self.bytes.len() - self.at) / each {
            return Err(self.error("more bytes were expected"));
        }
        Ok(count)
    }

    const fn error(&self, reason: &'static str) -> WireError {
        WireError::Decode {
            reason,
            position: self.at,
        }
    }
}
