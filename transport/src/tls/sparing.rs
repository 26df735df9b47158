//! The cryptography of QUIC, with keys that take room only once they are used.
//!
//! A key that is ready for use holds its schedule, some 400 bytes. A handshake over QUIC derives
//! eight for packets and six for headers, and two for TLS records, which QUIC does not have. As
//! long as the client is silent, half of them have nothing to do, and later those of the next key
//! update have not. Made ready at once, they were a tenth of what a stuck handshake held.

use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter,
    OutboundOpaqueMessage, OutboundPlainMessage, Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::crypto::{CipherSuiteCommon, CryptoProvider};
use rustls::quic::{Algorithm, HeaderProtectionKey, PacketKey, Tag};
use rustls::{ConnectionTrafficSecrets, Error, SupportedCipherSuite, Tls13CipherSuite};

use super::provider;

/// The provider of all connections, for those of QUIC.
pub(super) fn quic_provider() -> Arc<CryptoProvider> {
    let suites = SUITES.iter().map(SupportedCipherSuite::Tls13).collect();
    Arc::new(CryptoProvider {
        cipher_suites: suites,
        ..(*provider()).clone()
    })
}

static SUITES: LazyLock<Vec<Tls13CipherSuite>> = LazyLock::new(|| {
    let suites = SPARING.iter().map(|sparing| Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite: sparing.suite.common.suite,
            hash_provider: sparing.suite.common.hash_provider,
            confidentiality_limit: sparing.suite.common.confidentiality_limit,
        },
        hkdf_provider: sparing.suite.hkdf_provider,
        aead_alg: sparing,
        quic: Some(sparing),
    });
    suites.collect()
});

static SPARING: LazyLock<Vec<Sparing>> = LazyLock::new(|| {
    let suites = provider().cipher_suites.clone().into_iter();
    let suites = suites.filter_map(|suite| suite.tls13());
    let suites = suites.filter_map(|suite| suite.quic.map(|quic| Sparing { suite, quic }));
    suites.collect()
});

/// A suite whose keys are made ready when they are needed.
struct Sparing {
    suite: &'static Tls13CipherSuite,
    quic: &'static dyn Algorithm,
}

impl Algorithm for Sparing {
    fn packet_key(&self, key: AeadKey, iv: Iv) -> Box<dyn PacketKey> {
        let quic = self.quic;
        Box::new(OnUse::new(quic, (key, iv)))
    }

    fn header_protection_key(&self, key: AeadKey) -> Box<dyn HeaderProtectionKey> {
        Box::new(OnUse::new(self.quic, key))
    }

    fn aead_key_len(&self) -> usize {
        self.quic.aead_key_len()
    }

    fn fips(&self) -> bool {
        self.quic.fips()
    }
}

impl Tls13AeadAlgorithm for Sparing {
    fn encrypter(&self, _: AeadKey, _: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(NoRecords)
    }

    fn decrypter(&self, _: AeadKey, _: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(NoRecords)
    }

    fn key_len(&self) -> usize {
        self.suite.aead_alg.key_len()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.suite.aead_alg.extract_keys(key, iv)
    }

    fn fips(&self) -> bool {
        self.suite.aead_alg.fips()
    }
}

/// Records are TLS's over TCP: QUIC takes the handshake's messages as they are (RFC 9001 section 4).
struct NoRecords;

impl MessageEncrypter for NoRecords {
    fn encrypt(
        &mut self,
        _: OutboundPlainMessage<'_>,
        _: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        Err(Error::EncryptError)
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        payload_len
    }
}

impl MessageDecrypter for NoRecords {
    fn decrypt<'a>(
        &mut self,
        _: InboundOpaqueMessage<'a>,
        _: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        Err(Error::DecryptError)
    }
}

/// A key that is made ready by its first use.
struct OnUse<M, K: ?Sized> {
    quic: &'static dyn Algorithm,
    /// What it is made of, until then.
    material: Mutex<Option<M>>,
    ready: OnceLock<Box<K>>,
}

impl<M, K: ?Sized> OnUse<M, K> {
    fn new(quic: &'static dyn Algorithm, material: M) -> Self {
        Self {
            quic,
            material: Mutex::new(Some(material)),
            ready: OnceLock::new(),
        }
    }

    fn ready(&self, make: impl FnOnce(&'static dyn Algorithm, M) -> Box<K>) -> &K {
        self.ready.get_or_init(|| {
            let mut material = self.material.lock().unwrap_or_else(PoisonError::into_inner);
            let material = material.take();
            make(
                self.quic,
                material.expect("it is taken once, by what makes the key"),
            )
        })
    }
}

impl OnUse<(AeadKey, Iv), dyn PacketKey> {
    fn key(&self) -> &dyn PacketKey {
        self.ready(|quic, (key, iv)| quic.packet_key(key, iv))
    }
}

impl OnUse<AeadKey, dyn HeaderProtectionKey> {
    fn key(&self) -> &dyn HeaderProtectionKey {
        self.ready(|quic, key| quic.header_protection_key(key))
    }
}

impl PacketKey for OnUse<(AeadKey, Iv), dyn PacketKey> {
    fn encrypt_in_place(
        &self,
        packet_number: u64,
        header: &[u8],
        payload: &mut [u8],
    ) -> Result<Tag, Error> {
        self.key().encrypt_in_place(packet_number, header, payload)
    }

    fn decrypt_in_place<'a>(
        &self,
        packet_number: u64,
        header: &[u8],
        payload: &'a mut [u8],
    ) -> Result<&'a [u8], Error> {
        self.key().decrypt_in_place(packet_number, header, payload)
    }

    fn tag_len(&self) -> usize {
        self.key().tag_len()
    }

    fn confidentiality_limit(&self) -> u64 {
        self.key().confidentiality_limit()
    }

    fn integrity_limit(&self) -> u64 {
        self.key().integrity_limit()
    }
}

impl HeaderProtectionKey for OnUse<AeadKey, dyn HeaderProtectionKey> {
    fn encrypt_in_place(
        &self,
        sample: &[u8],
        first: &mut u8,
        packet_number: &mut [u8],
    ) -> Result<(), Error> {
        self.key().encrypt_in_place(sample, first, packet_number)
    }

    fn decrypt_in_place(
        &self,
        sample: &[u8],
        first: &mut u8,
        packet_number: &mut [u8],
    ) -> Result<(), Error> {
        self.key().decrypt_in_place(sample, first, packet_number)
    }

    fn sample_len(&self) -> usize {
        self.key().sample_len()
    }
}

#[cfg(test)]
mod tests {
    use rustls::Side;
    use rustls::quic::{Keys, Version};

    use super::*;

    #[test]
    fn a_key_that_is_made_on_use_does_what_one_does_that_is_made_at_once() {
        let sparing = SPARING
            .iter()
            .find(|it| it.suite.common.suite == rustls::CipherSuite::TLS13_AES_128_GCM_SHA256)
            .unwrap();
        let keys = |quic, side| Keys::initial(Version::V1, sparing.suite, quic, b"client", side);
        let ours = keys(sparing, Side::Client);
        let theirs = keys(sparing.quic, Side::Server);
        let (ours, theirs) = (ours.local, theirs.remote);
        for number in 0..2 {
            let mut packet = *b"what is said";
            let tag = ours.packet.encrypt_in_place(number, b"head", &mut packet);
            let sealed = [&packet[..], tag.unwrap().as_ref()].concat();
            assert_ne!(packet, *b"what is said");
            let mut opened = sealed.clone();
            let said = theirs.packet.decrypt_in_place(number, b"head", &mut opened);
            assert_eq!(said.unwrap(), b"what is said");
            let sample = &[7; 16][..ours.header.sample_len()];
            let (mut first, mut bytes) = (0xc3, [1, 2, 3, 4]);
            let header = &ours.header;
            header
                .encrypt_in_place(sample, &mut first, &mut bytes)
                .unwrap();
            assert_ne!((first, bytes), (0xc3, [1, 2, 3, 4]));
            let header = &theirs.header;
            header
                .decrypt_in_place(sample, &mut first, &mut bytes)
                .unwrap();
            assert_eq!((first, bytes), (0xc3, [1, 2, 3, 4]));
        }
        assert_eq!(ours.packet.tag_len(), theirs.packet.tag_len());
        let limits = |key: &dyn PacketKey| (key.confidentiality_limit(), key.integrity_limit());
        assert_eq!(limits(&*ours.packet), limits(&*theirs.packet));
    }

    #[test]
    fn quic_has_the_suites_that_tls_has_and_no_records() {
        let all = |provider: &CryptoProvider| {
            let suites = provider.cipher_suites.iter();
            suites.map(SupportedCipherSuite::suite).collect::<Vec<_>>()
        };
        // Another package of the build may have had rustls learn TLS 1.2 as well.
        let mut whole = provider();
        Arc::make_mut(&mut whole)
            .cipher_suites
            .retain(|suite| suite.tls13().is_some());
        assert_eq!(all(&quic_provider()), all(&whole));
        let made = SPARING[0].encrypter(AeadKey::from([0; 32]), Iv::from([0; 12]));
        assert_eq!(made.encrypted_payload_len(7), 7);
    }
}
