//! Bundles as JWK sets (SPIFFE Trust Domain and Bundle §4, X509-SVID §6, JWT-SVID §6).

use alloc::string::String;

use super::{Bundle, BundleError, JwtAuthority};
use crate::TrustDomainBuf;
use crate::base64::{self, Alphabet};
use crate::json::{self, Json, Number, Object};
use crate::jwk::{self, JwkError, JwkProblem, PublicKey};
use crate::x509::{MAX_CERTIFICATE_BYTES, SigningCert};

/// Longest JWK set read, in bytes. Ours: as many authorities of either kind as a bundle may have fit, each with the
/// longest certificate, in base64.
pub const MAX_JWKS_BYTES: usize = 2 * 1024 * 1024;

/// Most entries read in a JWK set, those passed over included. Ours: sixteen times what a bundle may hold of one kind.
pub const MAX_JWKS_ENTRIES: usize = 1024;

const X509_SVID: &str = "x509-svid";
const JWT_SVID: &str = "jwt-svid";

impl Bundle {
    /// Reads a JWK set, such as a bundle endpoint serves.
    ///
    /// Passed over are: entries of an unknown or missing `kty`, `crv` or `use`; X.509 entries without a certificate, and
    /// all certificates of an entry but the first (X509-SVID §6.2); JWT entries whose key signs no JWT-SVID; unknown
    /// members, a JWK's `alg` and `key_ops` among them.
    ///
    /// # Errors
    /// Anything else that breaks a rule refuses the whole set, so that half a bundle is never taken for one: JSON, types
    /// of members, keys, a certificate that is no signing certificate, is not for the key beside it (RFC 7517 §4.7) or
    /// is named for another trust domain, a JWT authority without `kid`.
    pub fn from_jwks(trust_domain: TrustDomainBuf, text: &str) -> Result<Self, BundleError> {
        if text.len() > MAX_JWKS_BYTES {
            return Err(BundleError::TooLong { len: text.len() });
        }
        let wrong = |member, problem| BundleError::Set(JwkError::new(member, problem));
        let Json::Object(set) = json::parse(text.as_bytes()).map_err(BundleError::Json)? else {
            return Err(wrong("keys", JwkProblem::Missing));
        };
        let entries = match set.get("keys") {
            None => return Err(wrong("keys", JwkProblem::Missing)),
            Some(Json::Array(entries)) => entries,
            Some(_) => return Err(wrong("keys", JwkProblem::Type)),
        };
        if entries.len() > MAX_JWKS_ENTRIES {
            let count = entries.len();
            return Err(BundleError::TooManyEntries { count });
        }
        let mut bundle = Self::new(trust_domain);
        bundle.sequence = whole(&set, "spiffe_sequence").map_err(BundleError::Set)?;
        bundle.refresh_hint_secs = whole(&set, "spiffe_refresh_hint").map_err(BundleError::Set)?;
        for (index, entry) in entries.iter().enumerate() {
            let Json::Object(jwk) = entry else {
                let error = JwkError::new("keys", JwkProblem::Type);
                return Err(BundleError::Entry { index, error });
            };
            bundle.push_jwk(index, jwk)?;
        }
        Ok(bundle)
    }

    /// Writes a JWK set: X.509 authorities, then JWT authorities, each in order.
    ///
    /// # Errors
    /// `Key`, for an X.509 authority with a key that is neither RSA nor Ed25519 nor on P-256, P-384 or P-521.
    pub fn to_jwks(&self) -> Result<String, BundleError> {
        let mut out = String::from("{\"keys\":[");
        for (index, der) in self.x509_authorities().enumerate() {
            let spki = SigningCert::parse(der)
                .map_err(|error| BundleError::Authority { index, error })?
                .spki;
            let key =
                PublicKey::from_spki(spki).map_err(|error| BundleError::Key { index, error })?;
            begin(&mut out, X509_SVID, &key);
            let x5c = base64::encode(Alphabet::Standard, der);
            out.push_str(&alloc::format!(",\"x5c\":[\"{x5c}\"]}}"));
        }
        for authority in self.jwt_authorities() {
            begin(&mut out, JWT_SVID, authority.key());
            out.push_str(",\"kid\":");
            json::push_quoted(&mut out, authority.key_id());
            out.push('}');
        }
        out.push(']');
        let numbers = [
            ("spiffe_sequence", self.sequence),
            ("spiffe_refresh_hint", self.refresh_hint_secs),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                out.push_str(&alloc::format!(",\"{name}\":{number}"));
            }
        }
        out.push('}');
        Ok(out)
    }

    fn push_jwk(&mut self, index: usize, jwk: &Object) -> Result<(), BundleError> {
        let wrong = |error| BundleError::Entry { index, error };
        let usage = match jwk.get("use") {
            None => return Ok(()),
            Some(Json::String(usage)) => usage.as_str(),
            Some(_) => return Err(wrong(JwkError::new("use", JwkProblem::Type))),
        };
        if ![X509_SVID, JWT_SVID].contains(&usage) {
            return Ok(());
        }
        let Some(key) = jwk::public_key(jwk).map_err(wrong)? else {
            return Ok(());
        };
        if usage == X509_SVID {
            return self.push_x509(index, jwk, &key);
        }
        if key.as_ed25519().is_some() {
            return Ok(());
        }
        let key_id = jwk::string(jwk, "kid").map_err(wrong)?;
        self.push_jwt(JwtAuthority::new(key_id, key).map_err(wrong)?)
            .map_err(|error| match error {
                BundleError::KeyIdTaken { .. } => BundleError::KeyIdTaken { index },
                error => error,
            })
    }

    fn push_x509(
        &mut self,
        index: usize,
        jwk: &Object,
        key: &PublicKey,
    ) -> Result<(), BundleError> {
        let wrong = |problem| BundleError::Entry {
            index,
            error: JwkError::new("x5c", problem),
        };
        let found = jwk::first_certificate(jwk);
        let Some(der) = found.map_err(|error| BundleError::Entry { index, error })? else {
            return Ok(());
        };
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(wrong(JwkProblem::TooLong { len: der.len() }));
        }
        let spki = SigningCert::parse(&der)
            .map_err(|error| BundleError::Authority { index, error })?
            .spki;
        if PublicKey::from_spki(spki).as_ref() != Ok(key) {
            return Err(wrong(JwkProblem::Differs));
        }
        self.push(der).map_err(|error| match error {
            BundleError::OtherTrustDomain { .. } => BundleError::OtherTrustDomain { index },
            error => error,
        })
    }
}

/// Begins an entry: its use and its key.
fn begin(out: &mut String, usage: &str, key: &PublicKey) {
    if !out.ends_with('[') {
        out.push(',');
    }
    out.push('{');
    key.push_members(out);
    out.push_str(&alloc::format!(",\"use\":\"{usage}\""));
}

/// A whole number that is not negative; an absent member is `None`.
fn whole(set: &Object, member: &'static str) -> Result<Option<u64>, JwkError> {
    match set.get(member) {
        None => Ok(None),
        Some(Json::Number(Number::Unsigned(number))) => Ok(Some(*number)),
        Some(_) => Err(JwkError::new(member, JwkProblem::Type)),
    }
}
