//! An engine against an OpenSSL process over loopback sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::time::{Duration, Instant};

use tidelock_datapath::{
    Engine, Established, Failure, MAX_RECORD_BYTES, Now, Output, RECORD_HEADER_BYTES,
    record_body_len,
};
use tidelock_testkit::KernelTls;

/// OpenSSL answers well within this on any machine that builds this workspace.
const PATIENCE: Duration = Duration::from_secs(60);

/// A child that does not outlive the test.
pub(crate) struct Killed(pub(crate) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs an engine over a socket until its verdict.
pub(crate) fn run(
    mut engine: Engine,
    now: Now,
    stream: &mut TcpStream,
) -> Result<Box<Established>, Failure> {
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    loop {
        match engine.poll() {
            Some(Output::Send(bytes)) => stream.write_all(&bytes).expect("sent"),
            Some(Output::Established(end)) => return Ok(end),
            Some(Output::Failed(why)) => return Err(why),
            None => engine
                .handle(now, &mut read_record(stream))
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
pub(crate) fn exchange(end: &Established, stream: &mut TcpStream, openssl: &mut Killed) {
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

pub(crate) fn connect(port: u16) -> TcpStream {
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
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .expect("a port")
        .local_addr()
        .expect("an address")
        .port()
}
