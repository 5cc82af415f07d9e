//! A certificate authority that can be told to break any rule.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
    SerialNumber,
};
use tidelock_datapath::{Identity, TrustStore};
use tidelock_spiffe_core::{SpiffeId, TrustDomain};
use time::OffsetDateTime;

use crate::{SeededEntropy, VirtualClock};

/// Seconds for which certificates are valid on either side of [`VirtualClock::START`].
const VALID_SECS: i64 = 3600;

/// A root, and perhaps intermediates, of one trust domain.
pub struct TestCa {
    trust_domain: String,
    /// Root first.
    issuers: Vec<CertifiedIssuer<'static, KeyPair>>,
}

/// What a leaf is to say, before it is signed. Every field may be changed to break a rule.
pub struct Leaf {
    /// Everything but the key.
    pub params: CertificateParams,
}

impl TestCa {
    /// A new root for `trust_domain`.
    #[must_use]
    pub fn new(trust_domain: &str) -> Self {
        Self::with_root(trust_domain, |_| {})
    }

    /// A new root for `trust_domain`, changed by `change` before it is signed.
    #[must_use]
    pub fn with_root(trust_domain: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = signing_params(trust_domain, "root");
        change(&mut params);
        let root = CertifiedIssuer::self_signed(params, key()).expect("a root");
        Self {
            trust_domain: trust_domain.into(),
            issuers: vec![root],
        }
    }

    /// Adds an intermediate below the last issuer; it signs from now on.
    pub fn add_intermediate(&mut self, change: impl FnOnce(&mut CertificateParams)) {
        let mut params = signing_params(
            &self.trust_domain,
            &format!("intermediate {}", self.issuers.len()),
        );
        change(&mut params);
        let parent = self.issuers.last().expect("a root");
        let issuer = CertifiedIssuer::signed_by(params, key(), parent).expect("an intermediate");
        self.issuers.push(issuer);
    }

    /// The root certificate in DER.
    #[must_use]
    pub fn authority(&self) -> &[u8] {
        self.issuers[0].der()
    }

    /// A store that trusts this root for its trust domain.
    #[must_use]
    pub fn trust(&self) -> TrustStore {
        let mut trust = TrustStore::new();
        self.add_to(&mut trust);
        trust
    }

    /// Makes `trust` trust this root for its trust domain.
    pub fn add_to(&self, trust: &mut TrustStore) {
        let name = TrustDomain::parse(&self.trust_domain).expect("a trust domain");
        trust.add(name, self.authority()).expect("an authority");
    }

    /// Makes an identity for `id` with an SVID that keeps every rule.
    #[must_use]
    pub fn identity(&self, id: &str) -> Identity {
        let mut identity = identity_without_svid(id);
        let chain = self.sign(&identity.csr().expect("a request"), Leaf::for_id(id));
        install(&mut identity, &chain);
        identity
    }

    /// Signs what `leaf` says for the key of the request `csr` (PKCS#10 DER, whose signature is
    /// checked). Gives the chain, leaf first, without the root.
    #[must_use]
    pub fn sign(&self, csr: &[u8], leaf: Leaf) -> Vec<Vec<u8>> {
        let mut request =
            CertificateSigningRequestParams::from_der(&csr.into()).expect("a valid request");
        request.params = leaf.params;
        let signer = self.issuers.last().expect("a root");
        let cert = request.signed_by(signer).expect("a leaf");
        let above = self
            .issuers
            .iter()
            .skip(1)
            .rev()
            .map(|issuer| issuer.der().to_vec());
        std::iter::once(cert.der().to_vec()).chain(above).collect()
    }

    /// A chain for `key_pair`, leaf first, as a peer other than Tidelock would have it.
    #[must_use]
    pub fn sign_key(&self, key_pair: &KeyPair, leaf: Leaf) -> Vec<Vec<u8>> {
        let signer = self.issuers.last().expect("a root");
        let cert = leaf.params.signed_by(key_pair, signer).expect("a leaf");
        let above = self
            .issuers
            .iter()
            .skip(1)
            .rev()
            .map(|issuer| issuer.der().to_vec());
        std::iter::once(cert.der().to_vec()).chain(above).collect()
    }
}

impl Leaf {
    /// A leaf for `id` that keeps every rule of X509-SVIDs.
    #[must_use]
    pub fn for_id(id: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.not_before = at(VirtualClock::START - VALID_SECS);
        params.not_after = at(VirtualClock::START + VALID_SECS);
        params.subject_alt_names = vec![uri(id)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.serial_number = Some(SerialNumber::from_slice(
            &(SeededEntropy::next() >> 1).to_be_bytes(),
        ));
        Self { params }
    }

    /// Changes the leaf.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut CertificateParams)) -> Self {
        change(&mut self.params);
        self
    }

    /// Makes it valid from `from` to `to`, in seconds from [`VirtualClock::START`].
    #[must_use]
    pub fn valid(self, from: i64, to: i64) -> Self {
        self.with(|params| {
            params.not_before = at(VirtualClock::START + from);
            params.not_after = at(VirtualClock::START + to);
        })
    }
}

/// A key for `id`, without a certificate.
#[must_use]
pub fn identity_without_svid(id: &str) -> Identity {
    let id = SpiffeId::parse(id).expect("a SPIFFE ID");
    Identity::generate::<SeededEntropy>(id).expect("entropy")
}

/// Installs `chain`.
pub fn install(identity: &mut Identity, chain: &[Vec<u8>]) {
    identity
        .install(chain.iter().map(Vec::as_slice))
        .expect("a chain that belongs to the key");
}

/// A URI among the subject's alternative names.
#[must_use]
pub fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().expect("ASCII"))
}

fn signing_params(trust_domain: &str, name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("{trust_domain} {name}"));
    params.not_before = at(VirtualClock::START - VALID_SECS);
    params.not_after = at(VirtualClock::START + 2 * VALID_SECS);
    params.subject_alt_names = vec![uri(&format!("spiffe://{trust_domain}"))];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key")
}

fn at(unix: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(unix).expect("a date")
}
