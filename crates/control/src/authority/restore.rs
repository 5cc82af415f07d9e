//! Taking up the authorities that the store names, with the keys that lie on disk.

use rcgen::KeyPair;
use tidelock_ca::{Authority as X509Signing, JwtAuthority as JwtSigning, State};
use tidelock_spiffe_core::jwk::PublicKey;
use tidelock_spiffe_core::x509::SigningCert;
use zeroize::Zeroizing;

use super::keys::Read;
use super::lives::{Lives, Member, Restored};
use super::ring::Ring;
use super::{Authority, AuthorityError};
use crate::audit::hex;
use crate::store::{Authorities, AuthorityRecord, JwtAuthorityRecord};

/// A private key in DER.
type KeyDer = Zeroizing<Vec<u8>>;

impl Authority {
    pub(super) fn restore(&self, stored: Authorities) -> Result<(), AuthorityError> {
        self.check_trust_domain(&stored.trust_domain)?;
        let (mut x509, mut jwt) = (Vec::new(), Vec::new());
        let mut all_sealed = true;
        for record in stored.x509 {
            let mut one = restored(&record)?;
            match record.state {
                State::Prepared | State::Active => {
                    one.member.signing = Some(self.signing(&record)?);
                }
                State::Retired | State::Tainted => {
                    one.member.signing = self.signing_no_svids(&record);
                    all_sealed &= one.member.signing.is_some();
                }
                State::Revoked => self.destroy_left(&record.key_file),
            }
            x509.push(one);
        }
        for record in stored.jwt {
            let signing = match record.state {
                State::Prepared | State::Active => Some(self.jwt_signing(&record)?),
                // It signs nothing any more, not even lists.
                State::Retired | State::Tainted => None,
                State::Revoked => {
                    self.destroy_left(&record.key_file);
                    None
                }
            };
            jwt.push(restored_jwt(record, signing));
        }
        if all_sealed {
            self.keys.forget_own()?;
        }
        // Together they have changed as often as the store says. How often each did, nobody asks.
        self.put_in_force(Ring {
            x509: Lives::restore(self.timings.x509.engine()?, x509, stored.sequence)?,
            jwt: Lives::restore(self.timings.jwt.engine()?, jwt, 0)?,
        });
        Ok(())
    }

    /// An authority's key, which has to be its certificate's.
    fn signing(&self, record: &AuthorityRecord) -> Result<X509Signing<KeyPair>, AuthorityError> {
        let file = &record.key_file;
        let (key, stale) = self.read(file)?;
        let signing = X509Signing::open(key, record.certificate.clone())?;
        self.check_trust_domain(signing.trust_domain().as_str())?;
        self.seal_anew(file, stale)?;
        Ok(signing)
    }

    /// The key of an authority that signs no SVIDs any more, only lists of those that are revoked. Nothing else depends on it.
    fn signing_no_svids(&self, record: &AuthorityRecord) -> Option<X509Signing<KeyPair>> {
        self.signing(record)
            .inspect_err(|error| tracing::warn!(%error, "the key of a retired authority"))
            .ok()
    }

    /// A key that signs JWT-SVIDs, which has to be the one that is published.
    fn jwt_signing(
        &self,
        record: &JwtAuthorityRecord,
    ) -> Result<JwtSigning<KeyPair>, AuthorityError> {
        let file = &record.key_file;
        let (key, stale) = self.read(file)?;
        let (domain, not_after) = (&self.trust_domain, record.not_after);
        let signing = JwtSigning::new(key, &record.key_id, domain, not_after)?;
        if PublicKey::from_spki(&record.public_key).as_ref() != Ok(signing.published().key()) {
            return Err(AuthorityError::OtherKey { file: file.clone() });
        }
        self.seal_anew(file, stale)?;
        Ok(signing)
    }

    /// A key; where it lies there plain, or encrypted with what is not used any more, with what to write in its place.
    fn read(&self, file: &str) -> Result<(KeyPair, Option<KeyDer>), AuthorityError> {
        let Read { key, stale } = self.keys.read(file)?;
        let der = stale.then(|| Zeroizing::new(key.serialize_der()));
        Ok((key, der))
    }

    /// Encrypts a key anew, once it has proved to be the right one.
    fn seal_anew(&self, file: &str, der: Option<KeyDer>) -> Result<(), AuthorityError> {
        if let Some(der) = der {
            self.keys.write_der(file, &der)?;
            tracing::info!(file, "the authority's key was encrypted anew");
        }
        Ok(())
    }

    /// Destroys the key of an authority that is revoked, if a crash left it. Nothing depends on it.
    fn destroy_left(&self, file: &str) {
        if self.dir.has(file) {
            match self.keys.destroy(file) {
                Ok(()) => tracing::info!(file, "a revoked authority's key is gone"),
                Err(error) => tracing::error!(%error, "a revoked authority's key is still there"),
            }
        }
    }

    fn check_trust_domain(&self, stored: &str) -> Result<(), AuthorityError> {
        if stored == self.trust_domain.as_str() {
            return Ok(());
        }
        let (stored, wanted) = (stored.to_owned(), self.trust_domain.as_str().to_owned());
        Err(AuthorityError::TrustDomain { stored, wanted })
    }
}

/// Reads what the store holds of a certificate. It has no key yet.
fn restored<S>(record: &AuthorityRecord) -> Result<Restored<S>, AuthorityError> {
    let read = SigningCert::parse(&record.certificate).map_err(AuthorityError::Certificate)?;
    Ok(Restored {
        id: hex(read.serial),
        state: record.state,
        since: record.since,
        until: record.until.unwrap_or(read.not_after),
        member: Member {
            public: record.certificate.clone(),
            key_file: record.key_file.clone(),
            not_before: read.not_before,
            not_after: read.not_after,
            generation: record.generation,
            signing: None,
        },
    })
}

fn restored_jwt<S>(record: JwtAuthorityRecord, signing: Option<S>) -> Restored<S> {
    Restored {
        id: record.key_id,
        state: record.state,
        since: record.since,
        until: record.until,
        member: Member {
            public: record.public_key,
            key_file: record.key_file,
            not_before: 0,
            not_after: record.not_after,
            generation: record.generation,
            signing,
        },
    }
}
