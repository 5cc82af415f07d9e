//! The engine against OpenSSL's own client and server over loopback sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::KeyPair;
use tidelock_datapath::{
    Engine, Established, Failure, MAX_RECORD_BYTES, Now, Output, RECORD_HEADER_BYTES, Reason,
    record_body_len,
};
use tidelock_testkit::{KernelTls, Leaf, PairBuilder, SeededEntropy, TestCa, VirtualClock};

const CLIENT: &str = "spiffe://example.org/client";
const SERVER: &str = "spiffe://example.org/server";
/// OpenSSL answers well within this on any machine that builds this workspace.
const PATIENCE: Duration = Duration::from_secs(60);

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

/// A child that does not outlive the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn now() -> Now {
    VirtualClock::new().now()
}

/// Runs an engine over a socket until its verdict.
fn run(mut engine: Engine, stream: &mut TcpStream) -> Result<Box<Established>, Failure> {
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    loop {
        match engine.poll() {
            Some(Output::Send(bytes)) => stream.write_all(&bytes).expect("sent"),
            Some(Output::Established(end)) => return Ok(end),
            Some(Output::Failed(why)) => return Err(why),
            None => engine
                .handle(now(), &mut read_record(stream))
                .expect("one record"),
        }
    }
}

fn read_record(stream: &mut TcpStream) -> Vec<u8> {
    let mut record = vec![0; MAX_RECORD_BYTES];
    let (header, body) = record
        .split_first_chunk_mut::<RECORD_HEADER_BYTES>()
        .expect("room");
    stream.read_exact(header).expect("a header");
    let len = record_body_len(*header).expect("a record");
    stream.read_exact(&mut body[..len]).expect("a body");
    record.truncate(RECORD_HEADER_BYTES + len);
    record
}

/// Sends a line each way by kernel TLS on our side and OpenSSL's standard streams on the other.
fn exchange(end: &Established, stream: &mut TcpStream, openssl: &mut Killed) {
    let (mut tx, mut rx) = (
        KernelTls::new(end.tx.as_bytes()),
        KernelTls::new(end.rx.as_bytes()),
    );
    stream
        .write_all(&tx.seal(23, b"from the engine\n"))
        .expect("sent");
    let mut seen = Vec::new();
    let stdout = openssl.0.stdout.as_mut().expect("piped");
    while !seen
        .windows(16)
        .any(|window| window == b"from the engine\n")
    {
        let mut byte = [0];
        assert_eq!(
            stdout.read(&mut byte).expect("readable"),
            1,
            "{}",
            String::from_utf8_lossy(&seen)
        );
        seen.extend(byte);
    }
    openssl
        .0
        .stdin
        .as_mut()
        .expect("piped")
        .write_all(b"from openssl\n")
        .expect("written");
    let text = loop {
        // Tickets come first.
        let (content_type, text) = rx.open(&read_record(stream)).expect("an authentic record");
        if content_type == 23 {
            break text;
        }
    };
    assert_eq!(text, b"from openssl\n");
}

fn connect(port: u16) -> TcpStream {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return stream,
            Err(error)
                if error.kind() == ErrorKind::ConnectionRefused && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .expect("a port")
        .local_addr()
        .expect("an address")
        .port()
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
    (run(engine, &mut stream), stream, openssl)
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
    (run(engine, &mut stream), stream, openssl)
}

#[test]
fn our_client_meets_s_server_in_every_suite() {
    for (at, suite) in SUITES.into_iter().enumerate() {
        let (end, mut stream, mut openssl) =
            as_client(&["-ciphersuites", suite], &format!("client{at}"));
        let end = end.unwrap_or_else(|why| panic!("{suite}: {why}"));
        assert_eq!(end.peer.id().as_str(), SERVER);
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
        assert_eq!(end.peer.id().as_str(), CLIENT);
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
