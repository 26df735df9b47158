//! The bytes of a datagram, and the keys that it is sealed with.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{self, HKDF_SHA256, KeyType, Prk, Salt};

use super::secret::{Secret, Secrets};

/// The head of a datagram: 4 bytes that say what it is, the id of the key, the sender, what the
/// sender names of the receiver, and the datagram's number.
pub(super) const HEAD_BYTES: usize = 4 + KEY_ID_BYTES + Mark::BYTES + Mark::BYTES + 8;
/// What follows the sealed bytes.
pub(super) const TAG_BYTES: usize = 16;

const KEY_ID_BYTES: usize = 4;
/// "DreamMesh gossip", and the version of what stands here.
const MAGIC: [u8; 3] = [b'D', b'g', 1];

/// A number drawn at random: it names a run of an agent, or a time in which it takes datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark(pub(super) [u8; Self::BYTES]);

impl Mark {
    pub(super) const BYTES: usize = 16;
}

/// What a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A message or a part of one.
    Data,
    /// An answer to a datagram that named nothing the receiver takes: it says what to name.
    Challenge,
}

/// What can be read of a datagram before it is opened; believed only once it has been.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) key: KeyId,
    /// The run of the agent that sent it.
    pub(super) sender: Mark,
    /// Of data, the time in which the receiver takes it; of a challenge, the run it answers.
    pub(super) names: Mark,
    /// Never the same twice in a run, since it is the nonce.
    pub(super) number: u64,
}

impl Head {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.push(match self.kind {
            Kind::Data => 1,
            Kind::Challenge => 2,
        });
        out.extend_from_slice(&self.key.0);
        out.extend_from_slice(&self.sender.0);
        out.extend_from_slice(&self.names.0);
        out.extend_from_slice(&self.number.to_be_bytes());
    }

    /// Reads the head of a datagram that is long enough to have one.
    ///
    /// # Errors
    /// Whether it is too short, or of something else.
    pub(super) fn read(datagram: &[u8]) -> Result<Self, Unread> {
        let (magic, rest) = datagram.split_first_chunk().ok_or(Unread::Short)?;
        if *magic != MAGIC {
            return Err(Unread::Foreign);
        }
        let (&kind, rest) = rest.split_first().ok_or(Unread::Short)?;
        let (key, rest) = rest.split_first_chunk().ok_or(Unread::Short)?;
        let (sender, rest) = rest.split_first_chunk().ok_or(Unread::Short)?;
        let (names, rest) = rest.split_first_chunk().ok_or(Unread::Short)?;
        let (number, rest) = rest.split_first_chunk().ok_or(Unread::Short)?;
        if rest.len() < TAG_BYTES {
            return Err(Unread::Short);
        }
        let kind = match kind {
            1 => Kind::Data,
            2 => Kind::Challenge,
            _ => return Err(Unread::Foreign),
        };
        Ok(Self {
            kind,
            key: KeyId(*key),
            sender: Mark(*sender),
            names: Mark(*names),
            number: u64::from_be_bytes(*number),
        })
    }
}

/// Why the head of a datagram could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    Short,
    Foreign,
}

/// Tells the keys of one secret from another's, and of one cluster from another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyId([u8; KEY_ID_BYTES]);

/// What follows from the secrets of a cluster.
pub(super) struct Keys {
    cluster: Box<str>,
    /// The one that seals is first.
    of_secrets: Vec<(KeyId, Prk)>,
}

impl Keys {
    pub(super) fn new(cluster: &str, secrets: &Secrets) -> Self {
        let of = |secret: &Secret| {
            let prk = Salt::new(HKDF_SHA256, cluster.as_bytes()).extract(secret.bytes());
            (KeyId(derive(&prk, &[b"dreammesh gossip key id"])), prk)
        };
        Self {
            cluster: cluster.into(),
            of_secrets: secrets.all().map(of).collect(),
        }
    }

    /// The id of the key that seals.
    pub(super) fn sealing(&self) -> KeyId {
        self.of_secrets[0].0
    }

    /// The key with which a run of an agent seals; `None` when it follows from no secret of ours.
    pub(super) fn of_sender(&self, key: KeyId, sender: Mark) -> Option<SenderKey> {
        let (_, prk) = self.of_secrets.iter().find(|(id, _)| *id == key)?;
        let info: [&[u8]; 2] = [b"dreammesh gossip key", &sender.0];
        let okm = prk.expand(&info, &AES_256_GCM);
        let okm = okm.expect("32 bytes are fewer than HKDF can give");
        let cluster = self.cluster.clone();
        Some(SenderKey {
            id: key,
            key: LessSafeKey::new(UnboundKey::from(okm)),
            cluster,
        })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

/// The key of one sender.
#[derive(Debug)]
pub(super) struct SenderKey {
    pub(super) id: KeyId,
    key: LessSafeKey,
    cluster: Box<str>,
}

impl SenderKey {
    /// The datagram of a head and what it is to say.
    pub(super) fn seal(&self, head: &Head, body: &[u8]) -> Vec<u8> {
        let mut datagram = Vec::with_capacity(HEAD_BYTES + body.len() + TAG_BYTES);
        head.write(&mut datagram);
        let bound = self.bound(&datagram);
        datagram.extend_from_slice(body);
        let (_, sealed) = datagram.split_at_mut(HEAD_BYTES);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce(head.number), Aad::from(bound), sealed);
        let tag = tag.expect("a datagram is shorter than what the cipher can seal");
        datagram.extend_from_slice(tag.as_ref());
        datagram
    }

    /// What a datagram says; `None` if this sender did not seal it, or it was altered.
    pub(super) fn open<'a>(&self, head: &Head, datagram: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (start, sealed) = datagram.split_at_mut_checked(HEAD_BYTES)?;
        let bound = self.bound(start);
        self.key
            .open_in_place(nonce(head.number), Aad::from(bound), sealed)
            .ok()
    }

    /// What is sealed but not hidden: the head, and in which cluster it holds.
    fn bound(&self, head: &[u8]) -> Vec<u8> {
        [head, self.cluster.as_bytes()].concat()
    }
}

/// Draws marks from one seed, so that the guard needs no source of randomness.
pub(super) struct Marks {
    prk: Prk,
    drawn: u64,
}

impl Marks {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self {
            prk: Salt::new(HKDF_SHA256, b"dreammesh gossip marks").extract(&seed),
            drawn: 0,
        }
    }

    pub(super) fn draw(&mut self) -> Mark {
        self.drawn += 1;
        Mark(derive(&self.prk, &[&self.drawn.to_be_bytes()]))
    }
}

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Marks")
            .field("drawn", &self.drawn)
            .finish_non_exhaustive()
    }
}

fn derive<const N: usize>(prk: &Prk, info: &[&[u8]]) -> [u8; N] {
    struct Bytes(usize);
    impl KeyType for Bytes {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut bytes = [0; N];
    let okm: Result<hkdf::Okm<'_, Bytes>, _> = prk.expand(info, Bytes(N));
    okm.and_then(|okm| okm.fill(&mut bytes))
        .expect("so few bytes are what HKDF can give, and as many as there is room for");
    bytes
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[NONCE_LEN - 8..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}
