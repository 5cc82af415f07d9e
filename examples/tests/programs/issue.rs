//! What is issued, and what is not.

use std::os::unix::fs::PermissionsExt as _;

use rcgen::KeyPair;
use tidelock_ca::{CsrError, IssueError};
use tidelock_examples::issue::{Issuer, entry, run};
use tidelock_examples::verify_svid;
use tidelock_spiffe_core::TrustDomainBuf;

const NOW: i64 = 1_770_000_000;
const WEB: &str = "spiffe://example.org/web";
const REPORTS: &str = "spiffe://example.org/reports";

fn issuer() -> Issuer {
    Issuer::new(&TrustDomainBuf::parse("example.org").unwrap(), NOW).unwrap()
}

fn request() -> Vec<u8> {
    tidelock_ca::request(&KeyPair::generate().unwrap()).unwrap()
}

#[test]
fn what_one_program_issues_the_other_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let id = run(WEB, REPORTS, folder.path(), NOW).unwrap();
    assert_eq!(id.as_str(), WEB);
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (pem, json) = (file("bundle.pem"), file("bundle.json"));
    let (svid, token) = (file("svid.pem"), file("token"));
    let x509 = |domain| verify_svid::run(&["x509", domain, &pem, &svid], NOW);
    let jwt = |audience| verify_svid::run(&["jwt", "example.org", &json, &token, audience], NOW);
    assert_eq!(x509("example.org").unwrap().as_str(), WEB);
    assert_eq!(jwt(REPORTS).unwrap().as_str(), WEB);
    // What is refused: the bundle of another domain, and a token that is not for us.
    assert!(x509("example.com").is_err());
    assert!(jwt(WEB).is_err());
}

#[test]
fn secrets_are_their_owners_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    run(WEB, REPORTS, folder.path(), NOW).unwrap();
    for name in ["svid.key", "token"] {
        let mode = folder.path().join(name).metadata().unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
    }
    assert!(run(WEB, REPORTS, folder.path(), NOW).is_err());
}

#[test]
fn nothing_is_issued_for_a_key_that_was_not_shown() {
    let mut request = request();
    *request.last_mut().unwrap() ^= 1;
    let refused = issuer().x509_svid(&entry(WEB).unwrap(), &request, NOW);
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused.downcast_ref(), Some(CsrError::Possession)),
        "{refused}"
    );
}

#[test]
fn nothing_is_issued_for_another_trust_domain() {
    let entry = entry("spiffe://example.com/web").unwrap();
    let refused = issuer().x509_svid(&entry, &request(), NOW).unwrap_err();
    assert!(
        matches!(
            refused.downcast_ref(),
            Some(IssueError::<rcgen::Error>::OtherTrustDomain { .. })
        ),
        "{refused}"
    );
    assert!(issuer().jwt_svid(&entry, REPORTS, NOW).is_err());
}

#[test]
fn no_entry_has_an_id_that_tidelock_keeps_for_itself() {
    assert!(entry("spiffe://example.org/tidelock/control").is_err());
    assert!(entry("spiffe://example.org").is_err());
}
