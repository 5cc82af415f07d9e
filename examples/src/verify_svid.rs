//! Whose SVID is this? An X509-SVID's chain, or a JWT-SVID, against the bundle of a trust domain.
//!
//! [`SvidVerifier`] is the part to copy. `tidelock-spiffe-core` holds certificates and tokens to the rules of SPIFFE, and checks the
//! signatures of tokens; it leaves paths of certificates to a library for that, which here is `rustls-webpki`.

use std::error::Error;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use tidelock_spiffe_core::jwt::{Audience, JwtError, JwtSvid, P256, P384, Rsa};
use tidelock_spiffe_core::x509::{Leaf, LeafError, SigningCert};
use tidelock_spiffe_core::{Bundle, BundleSet, SpiffeIdBuf, TrustDomainBuf, pem};
use webpki::{
    ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, VerifiedPath, anchor_from_trusted_cert,
};

/// Most certificates in a chain, leaf included: bounds what a stranger can make us check.
pub const MAX_CHAIN_CERTS: usize = 8;

/// Says whose an SVID is, or why it is nobody's.
#[derive(Clone, Debug)]
pub struct SvidVerifier {
    bundles: BundleSet,
}

/// What a certificate is used for: whom the verifier talks to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peer {
    /// A client, which shows its certificate to us as a server.
    Client,
    /// A server, which shows its certificate to us as a client.
    Server,
}

/// Why an X509-SVID is nobody's. A `claimed` ID was not proved.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// No certificate, or too many.
    #[error("{count} certificates: a chain has 1 to {MAX_CHAIN_CERTS}, the leaf first")]
    ChainLength {
        /// How many.
        count: usize,
    },
    /// The first certificate is no X509-SVID.
    #[error("the leaf is no X509-SVID: {0}")]
    Leaf(LeafError),
    /// Its trust domain is none that we know.
    #[error("`{claimed}` is of a trust domain whose bundle we do not have")]
    UnknownTrustDomain {
        /// Whose it says it is.
        claimed: SpiffeIdBuf,
    },
    /// It is not yet, or no longer, valid.
    #[error("`{claimed}` is valid from {not_before} to {not_after}, and it is {now} now")]
    NotCurrent {
        /// Whose it says it is.
        claimed: SpiffeIdBuf,
        /// First second of validity, in seconds since 1970.
        not_before: i64,
        /// Last second of validity, in seconds since 1970.
        not_after: i64,
        /// The time now, in seconds since 1970.
        now: i64,
    },
    /// No path of certificates leads from it to an authority of its trust domain.
    #[error("`{claimed}` does not lead to an authority of its trust domain: {why:?}")]
    Path {
        /// Whose it says it is.
        claimed: SpiffeIdBuf,
        /// What is wrong with the best of the paths.
        why: webpki::Error,
    },
}

impl SvidVerifier {
    /// Believes the authorities of each trust domain for that domain alone (X509-SVID §5).
    #[must_use]
    pub fn new(bundles: BundleSet) -> Self {
        Self { bundles }
    }

    /// Whose X509-SVID `chain` is, leaf first, at `now` in seconds since 1970.
    ///
    /// That a peer has the key to it is not shown by a chain: TLS does that.
    ///
    /// # Errors
    /// The first rule broken: length, leaf, trust domain, time, path.
    pub fn x509(
        &self,
        chain: &[CertificateDer<'_>],
        peer: Peer,
        now: i64,
    ) -> Result<SpiffeIdBuf, Refused> {
        let count = chain.len();
        let (leaf_der, intermediates) = match chain.split_first() {
            Some(split) if count <= MAX_CHAIN_CERTS => split,
            _ => return Err(Refused::ChainLength { count }),
        };
        let leaf = Leaf::parse(leaf_der).map_err(Refused::Leaf)?;
        let claimed = leaf.id.to_buf();
        let Some(bundle) = self.bundles.get(claimed.trust_domain()) else {
            return Err(Refused::UnknownTrustDomain { claimed });
        };
        if !leaf.is_current(now) {
            let (not_before, not_after) = (leaf.not_before, leaf.not_after);
            return Err(Refused::NotCurrent {
                claimed,
                not_before,
                not_after,
                now,
            });
        }
        match path(leaf_der, intermediates, bundle, peer, now) {
            Ok(()) => Ok(claimed),
            Err(why) => Err(Refused::Path { claimed, why }),
        }
    }

    /// Whose JWT-SVID `token` is, at `now` in seconds since 1970, if it is for `audience`: the names that we go by.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn jwt(&self, token: &str, audience: &[&str], now: i64) -> Result<SpiffeIdBuf, JwtError> {
        let verifiers = (P256, (P384, Rsa));
        let svid = JwtSvid::validate(
            token,
            &self.bundles,
            Audience::of(audience),
            now,
            &verifiers,
        )?;
        Ok(svid.id().to_buf())
    }
}

/// RFC 5280 §6, with the bundle's authorities as the only anchors.
fn path(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    bundle: &Bundle,
    peer: Peer,
    now: i64,
) -> Result<(), webpki::Error> {
    let authorities: Vec<CertificateDer<'_>> = bundle
        .x509_authorities()
        // Path validation leaves the age of anchors to us.
        .filter(|der| SigningCert::parse(der).is_ok_and(|authority| authority.is_current(now)))
        .map(CertificateDer::from)
        .collect();
    let anchors: Vec<TrustAnchor<'_>> = authorities
        .iter()
        .map(anchor_from_trusted_cert)
        .collect::<Result<_, _>>()?;
    // And what SPIFFE asks of the certificates between, beyond what any authority's have to be.
    let spiffe_rules = |path: &VerifiedPath<'_>| {
        for certificate in path.intermediate_certificates() {
            let der = certificate.der();
            let signing = SigningCert::parse(&der).map_err(|_| webpki::Error::EndEntityUsedAsCa)?;
            if signing
                .id
                .is_some_and(|id| id.trust_domain() != bundle.trust_domain())
            {
                return Err(webpki::Error::UnknownIssuer);
            }
        }
        Ok(())
    };
    let usage = match peer {
        Peer::Client => KeyUsage::client_auth(),
        Peer::Server => KeyUsage::server_auth(),
    };
    let seconds = u64::try_from(now).map_err(|_| webpki::Error::BadDerTime)?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    EndEntityCert::try_from(leaf)?
        .verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &anchors,
            intermediates,
            time,
            usage,
            None,
            Some(&spiffe_rules),
        )
        .map(|_| ())
}

/// What the program is asked.
pub const USAGE: &str = "\
usage: verify_svid x509 TRUST-DOMAIN BUNDLE.pem SVID.pem
       verify_svid jwt TRUST-DOMAIN BUNDLE.json TOKEN-FILE AUDIENCE";

/// The program: answers for its arguments at `now`, in seconds since 1970.
///
/// # Errors
/// A file that cannot be read, or why the SVID is nobody's.
pub fn run(args: &[&str], now: i64) -> Result<SpiffeIdBuf, Box<dyn Error>> {
    match *args {
        ["x509", domain, bundle, svid] => {
            let bundle = Bundle::from_pem(TrustDomainBuf::parse(domain)?, &read(bundle)?)?;
            let chain: Vec<CertificateDer<'_>> = pem::decode("CERTIFICATE", &read(svid)?)?
                .into_iter()
                .map(CertificateDer::from)
                .collect();
            let verifier = SvidVerifier::new(bundle.into());
            Ok(verifier.x509(&chain, Peer::Client, now)?)
        }
        ["jwt", domain, bundle, token, audience] => {
            let bundle = Bundle::from_jwks(TrustDomainBuf::parse(domain)?, &read(bundle)?)?;
            let verifier = SvidVerifier::new(bundle.into());
            Ok(verifier.jwt(read(token)?.trim(), &[audience], now)?)
        }
        _ => Err(USAGE.into()),
    }
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))
}

/// The time now, in seconds since 1970.
#[must_use]
pub fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
