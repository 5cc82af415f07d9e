//! A node that joins with a certificate, and comes back with it.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use tidelock_agent::{
    DeviceSource, JoinError, NodeCertificate, NodeCertificateError, Notice, Options, RunError,
};
use tidelock_proto::v1::{self, revoke_request::What};

use super::kernel::Kernel;
use super::plane::{Plane, Running};

/// A company's CA.
struct Ca(Issuer<'static, KeyPair>, String);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    /// Puts a certificate for `n1` and its key where an agent finds them.
    fn gives(&self, dir: &Path) -> NodeCertificate {
        let mut params = CertificateParams::new(["n1".to_owned()]).unwrap();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let files = NodeCertificate {
            cert: dir.join("machine.pem"),
            key: dir.join("machine.key"),
        };
        std::fs::write(&files.cert, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }
}

fn options(plane: &Plane, kernel: &Kernel, certificate: &NodeCertificate) -> Options {
    Options {
        server: plane.server(),
        join_with: Some(certificate.clone().into()),
        data_dir: plane.data_dir(),
        device: DeviceSource::Open(kernel.opener()),
    }
}

/// With a data directory of its own: what a killed agent still writes goes to the old one.
fn with_data(plane: &Plane, kernel: &Kernel, with: &NodeCertificate, data: &str) -> Options {
    Options {
        data_dir: plane.dir.path().join(data),
        ..options(plane, kernel, with)
    }
}

async fn attested_now(agent: &Running) {
    agent
        .says(|notice| matches!(notice, Notice::Attested { now: true, .. }))
        .await;
    agent
        .says(|notice| matches!(notice, Notice::Connected { .. }))
        .await;
}

async fn revoke(plane: &Plane, what: What) {
    let request = v1::RevokeRequest {
        what: Some(what),
        reason: "a test".into(),
    };
    plane.admin().await.revoke(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_its_data_joins_again_without_anybody() {
    let ca = Ca::new();
    let (plane, kernel) = (Plane::with_root(&ca.1).await, Kernel::new());
    let certificate = ca.gives(plane.dir.path());
    for data in ["first", "second"] {
        let agent = Running::with(with_data(&plane, &kernel, &certificate, data));
        attested_now(&agent).await;
        agent.kill().await;
    }
    // With another certificate by now, too.
    let certificate = ca.gives(plane.dir.path());
    let agent = Running::with(with_data(&plane, &kernel, &certificate, "third"));
    attested_now(&agent).await;
    agent.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_svid_has_expired_joins_again_without_anybody() {
    let ca = Ca::new();
    let (plane, kernel) = (Plane::with_root(&ca.1).await, Kernel::new());
    let mut params = CertificateParams::default();
    let id = "spiffe://example.org/tidelock/agent/n1".try_into().unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![SanType::URI(id)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2020, 1, 2);
    let key = KeyPair::generate().unwrap();
    let old = params.signed_by(&key, &ca.0).unwrap().pem();
    std::fs::create_dir(plane.data_dir()).unwrap();
    let kept = format!("{}{old}", key.serialize_pem());
    std::fs::write(plane.data_dir().join("node.pem"), kept).unwrap();

    let certificate = ca.gives(plane.dir.path());
    let agent = Running::with(options(&plane, &kernel, &certificate));
    attested_now(&agent).await;
    agent.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_node_that_is_not_known_any_more_joins_again_but_not_once_it_is_revoked() {
    let ca = Ca::new();
    let (plane, kernel) = (Plane::with_root(&ca.1).await, Kernel::new());
    let certificate = ca.gives(plane.dir.path());
    let agent = Running::with(options(&plane, &kernel, &certificate));
    attested_now(&agent).await;
    agent.forget_notices();
    let id = "spiffe://example.org/tidelock/agent/n1";
    let serial = plane
        .event(|kind| match kind {
            v1::event::Kind::NodeAttested(node) => Some(node.serial),
            _ => None,
        })
        .await;
    revoke(&plane, What::Serial(serial)).await;
    agent
        .says(|notice| matches!(notice, Notice::Attested { id: own, now: true } if own == id))
        .await;
    agent
        .says(|notice| matches!(notice, Notice::Connected { .. }))
        .await;

    revoke(&plane, What::Node("n1".into())).await;
    let refused = plane
        .event(|kind| match kind {
            v1::event::Kind::AttestRefused(refused) => Some(refused.reason()),
            _ => None,
        })
        .await;
    assert_eq!(refused, v1::AttestRefusal::NotAllowed);
    agent.kill().await;
    let error = Running::with(with_data(&plane, &kernel, &certificate, "another"))
        .ends()
        .await;
    assert!(
        matches!(error, RunError::Join(JoinError::Refused { .. })),
        "{error}"
    );
    assert!(error.to_string().contains("allow-certificate"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_use_is_said_before_or_by_the_control_plane() {
    let (ca, other) = (Ca::new(), Ca::new());
    let (plane, kernel) = (Plane::with_root(&ca.1).await, Kernel::new());
    let certificate = other.gives(plane.dir.path());
    let error = Running::with(options(&plane, &kernel, &certificate))
        .ends()
        .await;
    assert!(error.to_string().contains("lead to a root"), "{error}");

    let key = KeyPair::generate().unwrap().serialize_pem();
    std::fs::write(&certificate.key, key).unwrap();
    let error = Running::with(options(&plane, &kernel, &certificate))
        .ends()
        .await;
    let own = RunError::Join(JoinError::Certificate(NodeCertificateError::Sign));
    assert_eq!(std::mem::discriminant(&error), std::mem::discriminant(&own));
    assert!(error.to_string().contains("is not that of"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_without_roots_is_no_reason_to_wait() {
    let ca = Ca::new();
    let (plane, kernel) = (Plane::start().await, Kernel::new());
    let certificate = ca.gives(plane.dir.path());
    let error = Running::with(options(&plane, &kernel, &certificate))
        .ends()
        .await;
    assert!(error.to_string().contains("--x509pop-ca-bundle"), "{error}");
}
