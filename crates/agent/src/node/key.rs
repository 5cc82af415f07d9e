//! The node's own key. Unlike workloads' keys it lives in the agent: it speaks to the control plane.

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use zeroize::Zeroizing;

/// A P-256 key pair. Never printed; what it writes out is wiped when dropped.
pub struct NodeKey(KeyPair);

/// A key could not be made or read, or a request not be signed.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct KeyError {
    what: &'static str,
    source: rcgen::Error,
}

impl NodeKey {
    /// Makes a fresh key.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let made = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
        made.map(Self).map_err(because("cannot make a key"))
    }

    /// Reads a key that [`NodeKey::to_pem`] wrote.
    ///
    /// # Errors
    /// It is none.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(pem, &PKCS_ECDSA_P256_SHA256);
        key.map(Self).map_err(because("not a P-256 key in PKCS#8"))
    }

    /// The key as PEM, PKCS#8.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.serialize_pem())
    }

    /// The public point, as certificates carry it.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        self.0.public_key_raw()
    }

    /// A signed request (PKCS#10, DER) for a certificate. It names nothing: the control plane decides names.
    ///
    /// # Errors
    /// Signing failed.
    pub fn csr(&self) -> Result<Vec<u8>, KeyError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let csr = params.serialize_request(&self.0);
        let csr = csr.map_err(because("cannot sign a request"))?;
        Ok(csr.der().to_vec())
    }
}

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeKey(..)")
    }
}

fn because(what: &'static str) -> impl Fn(rcgen::Error) -> KeyError {
    move |source| KeyError { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_writing_and_reading() {
        let key = NodeKey::generate().unwrap();
        let again = NodeKey::from_pem(&key.to_pem()).unwrap();
        assert_eq!(key.public_key(), again.public_key());
        assert!(NodeKey::from_pem("-----BEGIN PRIVATE KEY-----\n").is_err());
    }

    #[test]
    fn the_request_proves_the_key_and_names_nothing() {
        let key = NodeKey::generate().unwrap();
        let der = key.csr().unwrap().into();
        let request = rcgen::CertificateSigningRequestParams::from_der(&der).unwrap();
        assert!(request.params.subject_alt_names.is_empty());
        assert_eq!(request.params.distinguished_name.iter().count(), 0);
    }

    #[test]
    fn a_key_is_never_printed() {
        let key = NodeKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), "NodeKey(..)");
    }
}
