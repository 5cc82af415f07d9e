//! Whose an SVID is, and each way in which it is nobody's.

use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;
use tidelock_examples::issue::{Issuer, entry};
use tidelock_examples::verify_svid::{MAX_CHAIN_CERTS, Peer, Refused, SvidVerifier, run};
use tidelock_spiffe_core::jwt::JwtError;
use tidelock_spiffe_core::{Bundle, TrustDomainBuf};

const NOW: i64 = 1_770_000_000;
const WEB: &str = "spiffe://example.org/web";
const REPORTS: &str = "spiffe://example.org/reports";

fn issuer(trust_domain: &str) -> Issuer {
    Issuer::new(&TrustDomainBuf::parse(trust_domain).unwrap(), NOW).unwrap()
}

fn verifier(issuer: &Issuer) -> SvidVerifier {
    SvidVerifier::new(issuer.bundle().unwrap().into())
}

fn chain(issuer: &Issuer, id: &str) -> Vec<CertificateDer<'static>> {
    let csr = tidelock_ca::request(&KeyPair::generate().unwrap()).unwrap();
    let svid = issuer.x509_svid(&entry(id).unwrap(), &csr, NOW).unwrap();
    svid.chain.into_iter().map(CertificateDer::from).collect()
}

fn token(issuer: &Issuer) -> String {
    let svid = issuer.jwt_svid(&entry(WEB).unwrap(), REPORTS, NOW);
    svid.unwrap().token
}

#[test]
fn an_svid_of_the_trust_domain_is_whose_it_says_it_is() {
    let issuer = issuer("example.org");
    let (verifier, chain) = (verifier(&issuer), chain(&issuer, WEB));
    for peer in [Peer::Client, Peer::Server] {
        assert_eq!(verifier.x509(&chain, peer, NOW).unwrap().as_str(), WEB);
    }
    let id = verifier.jwt(&token(&issuer), &[REPORTS], NOW).unwrap();
    assert_eq!(id.as_str(), WEB);
}

#[test]
fn an_authority_of_the_same_name_is_not_the_bundles() {
    let (ours, theirs) = (issuer("example.org"), issuer("example.org"));
    let refused = verifier(&ours).x509(&chain(&theirs, WEB), Peer::Client, NOW);
    let Err(Refused::Path { claimed, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(claimed.as_str(), WEB);
    let refused = verifier(&ours).jwt(&token(&theirs), &[REPORTS], NOW);
    assert_eq!(refused, Err(JwtError::KeyId));
}

#[test]
fn a_bundle_vouches_for_its_own_trust_domain_only() {
    let (ours, theirs) = (issuer("example.org"), issuer("example.com"));
    let chain = chain(&theirs, "spiffe://example.com/web");
    let refused = verifier(&ours).x509(&chain, Peer::Client, NOW).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`spiffe://example.com/web` is of a trust domain whose bundle we do not have"
    );
}

#[test]
fn an_svid_is_believed_while_it_is_valid() {
    let issuer = issuer("example.org");
    let (verifier, chain) = (verifier(&issuer), chain(&issuer, WEB));
    let last = NOW + 3_600;
    assert!(verifier.x509(&chain, Peer::Client, last).is_ok());
    let refused = verifier.x509(&chain, Peer::Client, last + 1);
    assert!(
        matches!(refused, Err(Refused::NotCurrent { not_after, .. }) if not_after == last),
        "{refused:?}"
    );
    let refused = verifier.jwt(&token(&issuer), &[REPORTS], last);
    assert!(
        matches!(refused, Err(JwtError::Expired { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_token_for_somebody_else_is_refused() {
    let issuer = issuer("example.org");
    let refused = verifier(&issuer).jwt(&token(&issuer), &[WEB], NOW);
    assert_eq!(refused, Err(JwtError::Audience));
}

#[test]
fn a_chain_is_bounded_and_not_empty() {
    let issuer = issuer("example.org");
    let (verifier, chain) = (verifier(&issuer), chain(&issuer, WEB));
    for count in [0, MAX_CHAIN_CERTS + 1] {
        let chain = vec![chain[0].clone(); count];
        let refused = verifier.x509(&chain, Peer::Client, NOW);
        assert!(
            matches!(refused, Err(Refused::ChainLength { count: told }) if told == count),
            "{refused:?}"
        );
    }
}

#[test]
fn an_authority_is_nobodys_svid() {
    let issuer = issuer("example.org");
    let bundle: Bundle = issuer.bundle().unwrap();
    let authority: Vec<_> = bundle
        .x509_authorities()
        .map(CertificateDer::from)
        .collect();
    let refused = verifier(&issuer).x509(&authority, Peer::Client, NOW);
    assert!(matches!(refused, Err(Refused::Leaf(_))), "{refused:?}");
}

#[test]
fn the_program_says_what_it_wants_to_be_asked() {
    let refused = run(&["x509"], NOW).unwrap_err().to_string();
    assert!(
        refused.starts_with("usage: verify_svid x509 TRUST-DOMAIN"),
        "{refused}"
    );
    let refused = run(&["x509", "example.org", "/nowhere", "/nowhere"], NOW);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.starts_with("cannot read /nowhere: "), "{refused}");
}
