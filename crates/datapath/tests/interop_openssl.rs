//! The engine against OpenSSL's own client and server over loopback sockets.

mod support;

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rcgen::KeyPair;
use support::openssl::{Killed, connect, exchange, free_port, run};
use tidelock_datapath::{Engine, Established, Failure, Now, Reason};
use tidelock_testkit::{Leaf, PairBuilder, SeededEntropy, TestCa, VirtualClock};

const CLIENT: &str = "spiffe://example.org/client";
const SERVER: &str = "spiffe://example.org/server";

/// Key, chain and root of an OpenSSL end, as files.
struct Files(PathBuf);

impl Files {
    fn new(name: &str, ca: &TestCa, id: &str) -> Self {
        let dir =
            std::env::temp_dir().join(format!("tidelock-datapath-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder");
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
        let chain = ca.sign_key(&key, Leaf::for_id(id));
        let write =
            |name: &str, bytes: &[u8]| std::fs::write(dir.join(name), bytes).expect("written");
        write("key.pem", key.serialize_pem().as_bytes());
        write("cert.der", &chain[0]);
        write("root.der", ca.authority());
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn openssl(&self, command: &str) -> Command {
        let mut openssl = Command::new("openssl");
        // -Verify and the date: OpenSSL checks our chain as of the virtual clock's start.
        openssl
            .args([
                command,
                "-attime",
                &VirtualClock::START.to_string(),
                "-keyform",
                "PEM",
                "-certform",
                "DER",
            ])
            .arg("-key")
            .arg(self.path("key.pem"))
            .arg("-cert")
            .arg(self.path("cert.der"))
            .args([
                "-no-CApath",
                "-no-CAstore",
                "-verify",
                "3",
                "-verify_return_error",
            ])
            .arg("-CAfile")
            .arg(self.root_pem())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        openssl
    }

    fn root_pem(&self) -> PathBuf {
        let pem = self.path("root.pem");
        let done = Command::new("openssl")
            .args(["x509", "-inform", "DER", "-in"])
            .arg(self.path("root.der"))
            .arg("-out")
            .arg(&pem)
            .status()
            .expect("openssl is installed");
        assert!(done.success());
        pem
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn now() -> Now {
    VirtualClock::new().now()
}

fn as_client(extra: &[&str], name: &str) -> (Result<Box<Established>, Failure>, TcpStream, Killed) {
    let ca = TestCa::new("example.org");
    let ours = PairBuilder::new(ca.identity(CLIENT), ca.identity(SERVER), ca.trust());
    let files = Files::new(name, &ca, SERVER);
    let port = free_port();
    let mut openssl = files.openssl("s_server");
    openssl
        .args([
            "-quiet",
            "-Verify",
            "3",
            "-accept",
            &format!("127.0.0.1:{port}"),
        ])
        .args(extra);
    let openssl = Killed(openssl.spawn().expect("openssl is installed"));
    let mut stream = connect(port);
    let engine = Engine::client::<SeededEntropy>(now(), ours.client_params());
    (run(engine, now(), &mut stream), stream, openssl)
}

fn as_server(extra: &[&str], name: &str) -> (Result<Box<Established>, Failure>, TcpStream, Killed) {
    let ca = TestCa::new("example.org");
    let ours = PairBuilder::new(ca.identity(CLIENT), ca.identity(SERVER), ca.trust());
    let files = Files::new(name, &ca, CLIENT);
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let mut openssl = files.openssl("s_client");
    openssl.args(["-quiet", "-connect", &address]).args(extra);
    let openssl = Killed(openssl.spawn().expect("openssl is installed"));
    let (mut stream, _) = listener.accept().expect("a connection");
    let engine = Engine::server::<SeededEntropy>(now(), ours.server_params());
    (run(engine, now(), &mut stream), stream, openssl)
}

#[test]
fn our_client_meets_s_server_in_every_suite() {
    for (at, suite) in SUITES.into_iter().enumerate() {
        let (end, mut stream, mut openssl) =
            as_client(&["-ciphersuites", suite], &format!("client{at}"));
        let end = end.unwrap_or_else(|why| panic!("{suite}: {why}"));
        assert_eq!(end.peer.as_ref().expect("proved").id().as_str(), SERVER);
        assert!(!end.confirmed);
        // RFC 8446 §5.5, which is of AES-GCM alone.
        let limited = end.records_max == 1 << 24;
        assert_eq!(limited, suite.contains("AES"), "{}", end.records_max);
        exchange(&end, &mut stream, &mut openssl);
    }
}

#[test]
fn our_server_meets_s_client_in_every_suite() {
    for (at, suite) in SUITES.into_iter().enumerate() {
        let (end, mut stream, mut openssl) =
            as_server(&["-ciphersuites", suite], &format!("server{at}"));
        let end = end.unwrap_or_else(|why| panic!("{suite}: {why}"));
        assert_eq!(end.peer.as_ref().expect("proved").id().as_str(), CLIENT);
        exchange(&end, &mut stream, &mut openssl);
    }
}

#[test]
fn openssl_at_tls_1_2_is_refused() {
    let (end, ..) = as_server(&["-tls1_2"], "tls12-client");
    assert_eq!(end.expect_err("refused").reason(), Reason::Protocol);
    let (end, ..) = as_client(&["-tls1_2"], "tls12-server");
    assert!(matches!(
        end.expect_err("refused").reason(),
        Reason::Protocol | Reason::PeerRefused
    ));
}

#[test]
fn a_server_that_speaks_our_protocol_by_chance_is_held_to_it() {
    // s_server sends its tickets after the handshake, which confirms as well as anything.
    let (end, mut stream, mut openssl) = as_client(&["-alpn", "tidelock/1"], "alpn");
    let end = end.unwrap_or_else(|why| panic!("{why}"));
    assert!(end.confirmed);
    exchange(&end, &mut stream, &mut openssl);
}

const SUITES: [&str; 3] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
];
