//! A company's own CA, and the certificates that it gives its machines.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SignatureAlgorithm,
};
use tidelock_spiffe_core::pem as pem_text;
use time::{Duration, OffsetDateTime};

use crate::common::{DAY, NOW};

/// Made with `openssl genpkey -algorithm RSA`: nothing here makes RSA keys.
pub(crate) const RSA_KEY: &str = include_str!("rsa-2048.key");

/// What a certificate is to say.
pub(crate) struct Leaf {
    pub(crate) params: CertificateParams,
}

/// A certificate and its key.
pub(crate) struct Certified {
    pub(crate) der: Vec<u8>,
    pub(crate) key: KeyPair,
}

/// What signs certificates.
pub(crate) struct Ca {
    pub(crate) der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

pub(crate) fn key_of(kind: &'static SignatureAlgorithm) -> KeyPair {
    if *kind == rcgen::PKCS_RSA_SHA256 {
        return KeyPair::from_pem(RSA_KEY).expect("key");
    }
    KeyPair::generate_for(kind).expect("key")
}

pub(crate) fn pem(der: &[u8]) -> String {
    pem_text::encode("CERTIFICATE", der)
}

/// A machine's certificate.
pub(crate) fn device(name: &str) -> Leaf {
    Leaf::named(&[name])
}

impl Leaf {
    pub(crate) fn named(names: &[&str]) -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "a machine");
        let dns = |name: &&str| SanType::DnsName((*name).try_into().expect("ASCII"));
        params.subject_alt_names = names.iter().map(dns).collect();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Self { params }.valid(NOW - DAY, NOW + DAY)
    }

    pub(crate) fn root() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "a root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self { params }.valid(NOW - DAY, NOW + DAY)
    }

    pub(crate) fn valid(mut self, from: i64, to: i64) -> Self {
        let time = |at| OffsetDateTime::UNIX_EPOCH + Duration::seconds(at);
        (self.params.not_before, self.params.not_after) = (time(from), time(to));
        self
    }
}

impl Ca {
    pub(crate) fn root() -> Self {
        Self::with(Leaf::root(), KeyPair::generate().expect("key"), None)
    }

    /// One that this one signed.
    pub(crate) fn intermediate(&self) -> Self {
        self.below(Leaf::root())
    }

    pub(crate) fn below(&self, says: Leaf) -> Self {
        Self::with(says, KeyPair::generate().expect("key"), Some(self))
    }

    pub(crate) fn with(mut says: Leaf, key: KeyPair, by: Option<&Self>) -> Self {
        if by.is_some() {
            // No two of a chain may have one name (RFC 5280 §6.1).
            let name = format!("{:02x?}", &key.public_key_raw()[1..9]);
            says.params
                .distinguished_name
                .push(rcgen::DnType::OrganizationName, name);
        }
        let certificate = match by {
            None => says.params.self_signed(&key),
            Some(by) => says.params.signed_by(&key, &by.issuer),
        };
        let der = certificate.expect("signs").der().to_vec();
        Self {
            der,
            issuer: Issuer::new(says.params, key),
        }
    }

    pub(crate) fn leaf(&self, says: &Leaf) -> Certified {
        self.leaf_for(says, KeyPair::generate().expect("key"))
    }

    pub(crate) fn leaf_for(&self, says: &Leaf, key: KeyPair) -> Certified {
        let certificate = says.params.signed_by(&key, &self.issuer);
        let der = certificate.expect("signs").der().to_vec();
        Certified { der, key }
    }
}
