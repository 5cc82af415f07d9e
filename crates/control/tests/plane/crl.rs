//! Lists of revoked SVIDs for relying parties outside.

use std::net::SocketAddr;
use std::slice;

use crate::common::{NodeKeys, Plane, code, identity, options};
use rustls_pki_types::CertificateDer;
use tempfile::TempDir;
use tidelock_control::{ControlPlane, DATABASE_FILE};
use tidelock_proto::v1;
use tidelock_proto::v1::revoke_request::What;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use webpki::{BorrowedCertRevocationList, anchor_from_trusted_cert};

async fn start_in(dir: TempDir) -> Plane {
    let mut options = options(dir.path());
    options.http_listen = Some("127.0.0.1:0".parse().expect("address"));
    options.timing.propagation_secs = 0;
    let plane = ControlPlane::start(options).await.expect("start");
    Plane { dir, plane }
}

async fn plane() -> (Plane, NodeKeys) {
    let plane = start_in(tempfile::tempdir().expect("temp dir")).await;
    plane.applied(&identity("curl", "")).await;
    let keys = plane.attested("n1").await;
    (plane, keys)
}

/// Status line, type and body.
async fn get(http: SocketAddr, path: &str) -> (String, String, Vec<u8>) {
    let mut stream = TcpStream::connect(http).await.expect("connect");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("write");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("read");
    let at = answer.windows(4).position(|part| part == b"\r\n\r\n");
    let body = answer.split_off(at.expect("a head") + 4);
    let head = String::from_utf8(answer).expect("text");
    let mut lines = head.lines();
    let status = lines.next().expect("a line").to_owned();
    let kind = lines.find_map(|line| line.strip_prefix("Content-Type: "));
    (status, kind.expect("a type").to_owned(), body)
}

impl Plane {
    async fn list(&self, id: &str) -> Vec<u8> {
        let http = self.plane.http_listening().expect("listens");
        let (status, kind, body) = get(http, &format!("/crl/{id}.crl")).await;
        assert_eq!(
            (status.as_str(), kind.as_str()),
            ("HTTP/1.1 200 OK", "application/pkix-crl")
        );
        body
    }

    /// The serial numbers on an authority's list, which is that authority's.
    async fn on_list(&self, authority: &v1::X509Authority) -> Vec<Vec<u8>> {
        let der = self.list(&authority.id).await;
        let list = BorrowedCertRevocationList::from_der(&der).expect("a list");
        let serials = list
            .into_iter()
            .map(|one| one.expect("an entry").serial_number.to_vec());
        let serials = serials.collect();
        let list = webpki::CertRevocationList::from(list);
        let certificate = CertificateDer::from(&*authority.certificate);
        let anchor = anchor_from_trusted_cert(&certificate).expect("an authority");
        assert_eq!(list.issuer(), anchor.subject.as_ref());
        serials
    }
}

#[tokio::test]
async fn what_is_revoked_is_on_the_list_at_once() {
    let (plane, keys) = plane().await;
    let [authority] = &plane.authorities().await[..] else {
        panic!("one authority");
    };
    assert_eq!(plane.on_list(authority).await, [[0; 0]; 0]);
    let before = plane.list(&authority.id).await;
    assert_eq!(plane.list(&authority.id).await, before, "signed once");
    plane.applied(&identity("wget", "")).await;
    assert_eq!(
        plane.list(&authority.id).await,
        before,
        "nothing was revoked"
    );

    let mut serials = Vec::new();
    for _ in 0..3 {
        let serial = plane.signed(&keys, "curl").await.expect("signed");
        plane
            .revoked(What::Serial(serial.clone()))
            .await
            .expect("revoked");
        serials.push(serial);
        serials.sort();
        assert_eq!(plane.on_list(authority).await, serials);
    }
    let id = authority.id.clone();
    let answer = plane.admin().await.get_crl(v1::GetCrlRequest { id }).await;
    let list = plane.list(&authority.id).await;
    assert_eq!(answer.expect("a list").into_inner().crl, list);
}

#[tokio::test]
async fn each_authority_whose_svids_are_believed_has_a_list() {
    let (plane, keys) = plane().await;
    let serial = plane.signed(&keys, "curl").await.expect("signed");
    let mut admin = plane.admin().await;
    let prepared = admin
        .prepare_authority(v1::PrepareAuthorityRequest::default())
        .await;
    let new = prepared
        .expect("prepared")
        .into_inner()
        .authority
        .expect("one")
        .id;
    let http = plane.plane.http_listening().expect("listens");
    let refused = get(http, &format!("/crl/{new}.crl")).await;
    assert_eq!(refused.0, "HTTP/1.1 404 Not Found", "it signed nothing");
    let (id, despite_nodes) = (new.clone(), true);
    let request = v1::ActivateAuthorityRequest { id, despite_nodes };
    admin.activate_authority(request).await.expect("activated");
    plane
        .revoked(What::Serial(serial.clone()))
        .await
        .expect("revoked");
    let [old, active] = &plane.authorities().await[..] else {
        panic!("two authorities");
    };
    for authority in [old, active] {
        assert_eq!(plane.on_list(authority).await, slice::from_ref(&serial));
    }
    // It signs lists after a restart too, and is not asked for anything else.
    plane.plane.stop().await;
    let plane = start_in(plane.dir).await;
    let mut admin = plane.admin().await;
    assert_eq!(plane.on_list(old).await, slice::from_ref(&serial));
    let id = || old.id.clone();
    admin
        .taint_authority(v1::TaintAuthorityRequest { id: id() })
        .await
        .expect("tainted");
    assert_eq!(plane.on_list(old).await, [serial]);
    admin
        .revoke_authority(v1::RevokeAuthorityRequest { id: id() })
        .await
        .expect("revoked");
    let http = plane.plane.http_listening().expect("listens");
    for name in [
        format!("{}.crl", id()),
        "00.crl".into(),
        active.id.clone(),
        "../bundle.pem".into(),
    ] {
        let refused = get(http, &format!("/crl/{name}")).await;
        assert_eq!(refused.0, "HTTP/1.1 404 Not Found", "{name}");
    }
    let refused = admin.get_crl(v1::GetCrlRequest { id: id() }).await;
    assert_eq!(code(refused), Code::FailedPrecondition);
    let refused = admin.get_crl(v1::GetCrlRequest { id: "00".into() }).await;
    assert_eq!(code(refused), Code::NotFound);
}

#[tokio::test]
async fn what_is_over_leaves_the_list() {
    let (plane, keys) = plane().await;
    let authority = plane.authorities().await.remove(0);
    let (over, counting) = (
        plane.signed(&keys, "curl").await,
        plane.signed(&keys, "curl").await,
    );
    let (over, counting) = (over.expect("signed"), counting.expect("signed"));
    for serial in [&over, &counting] {
        plane
            .revoked(What::Serial(serial.clone()))
            .await
            .expect("revoked");
    }
    plane.plane.stop().await;
    let database = plane.dir.path().join("ca").join(DATABASE_FILE);
    let connection = rusqlite::Connection::open(database).expect("open");
    let sql = "UPDATE revoked SET until = 1000 WHERE serial = ?1";
    assert_eq!(connection.execute(sql, [&over]).expect("update"), 1);
    drop(connection);
    let plane = start_in(plane.dir).await;
    assert_eq!(plane.on_list(&authority).await, [counting]);
}
