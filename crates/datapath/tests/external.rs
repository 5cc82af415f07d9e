//! The engine as a client of servers outside: real ones, OpenSSL's, with certificates as public authorities sign them.

mod support;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use support::openssl::{Killed, connect, exchange, free_port, run};
use tidelock_datapath::{
    Engine, Established, External, ExternalError, ExternalParams, Failure, MAX_ROOTS, Mono, Now,
    PeerError, Reason, Roots,
};
use tidelock_testkit::SeededEntropy;
use webpki::Error as Path;

const NAME: &str = "api.bank.example";
const DAY: i64 = 86_400;
const P256: &str = "ec:P-256";
/// What OpenSSL calls kinds of keys.
const KEYS: [&str; 5] = [P256, "ec:P-384", "rsa:2048", "rsa:3072", "rsa:4096"];

/// A root, an intermediate and a server, each with a key of its own kind.
struct Pki(PathBuf);

impl Pki {
    fn new(what: &str, root: &str, server: &str, digest: &str, san: &str) -> Self {
        let dir =
            std::env::temp_dir().join(format!("tidelock-external-{}-{what}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder");
        let pki = Self(dir);
        let ca = [
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            "keyUsage=keyCertSign",
        ];
        pki.certificate("root", root, digest, None, &ca);
        pki.certificate("intermediate", P256, digest, Some("root"), &ca);
        let names = format!("subjectAltName={san}");
        let leaf = ["-addext", "basicConstraints=CA:FALSE", "-addext", &names];
        pki.certificate("server", server, digest, Some("intermediate"), &leaf);
        pki
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("text").into()
    }

    fn certificate(
        &self,
        name: &str,
        key: &str,
        digest: &str,
        issuer: Option<&str>,
        extra: &[&str],
    ) {
        let (kind, size) = key.split_once(':').expect("a kind and a size");
        let options = match kind {
            "ec" => [
                "-newkey".into(),
                "ec".into(),
                "-pkeyopt".into(),
                format!("ec_paramgen_curve:{size}"),
            ],
            _ => [
                "-newkey".into(),
                key.into(),
                "-pkeyopt".into(),
                format!("rsa_keygen_bits:{size}"),
            ],
        };
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-nodes",
            "-days",
            "3",
            "-subj",
            &format!("/CN={name}"),
            &format!("-{digest}"),
        ]);
        openssl.args(options).args(extra);
        openssl.args([
            "-keyout",
            &self.file(&format!("{name}.key")),
            "-out",
            &self.file(&format!("{name}.pem")),
        ]);
        if let Some(issuer) = issuer {
            let (cert, key) = (
                self.file(&format!("{issuer}.pem")),
                self.file(&format!("{issuer}.key")),
            );
            openssl.args(["-CA", &cert, "-CAkey", &key]);
        }
        let done = openssl.output().expect("openssl is installed");
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    fn root(&self) -> Vec<u8> {
        let der = Command::new("openssl")
            .args(["x509", "-outform", "DER", "-in", &self.file("root.pem")])
            .output();
        der.expect("openssl is installed").stdout
    }

    /// What comes of a handshake with this server, of which the engine has been told so.
    fn meet(&self, external: External, now: Now, extra: &[&str]) -> Met {
        let port = free_port();
        let openssl = Command::new("openssl")
            .args([
                "s_server",
                "-quiet",
                "-accept",
                &format!("127.0.0.1:{port}"),
            ])
            .args([
                "-key",
                &self.file("server.key"),
                "-cert",
                &self.file("server.pem"),
            ])
            .args(["-cert_chain", &self.file("intermediate.pem")])
            .args(extra)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let openssl = Killed(openssl.expect("openssl is installed"));
        let mut stream = connect(port);
        let external = Arc::new(external);
        let engine = Engine::external::<SeededEntropy>(
            now,
            ExternalParams {
                external,
                deadline: None,
            },
        );
        Met {
            end: run(engine, now, &mut stream),
            stream,
            openssl,
        }
    }
}

impl Drop for Pki {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Met {
    end: Result<Box<Established>, Failure>,
    stream: std::net::TcpStream,
    openssl: Killed,
}

impl Met {
    fn refused_for(self) -> PeerError {
        match self.end.expect_err("refused") {
            Failure::Peer(why) => why,
            other => panic!("{other}"),
        }
    }
}

fn external(name: &str, ders: &[Vec<u8>]) -> External {
    let mut roots = Roots::new();
    for der in ders {
        roots.add(der).expect("a root");
    }
    External::new(name, Arc::new(roots)).expect("a name")
}

fn now() -> Now {
    let unix = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    Now {
        mono: Mono(0),
        unix: i64::try_from(unix).expect("not that late"),
    }
}

fn not_it(why: Path) -> PeerError {
    PeerError::External {
        name: NAME.into(),
        why,
    }
}

#[test]
fn every_kind_of_key_that_public_authorities_certify_is_understood() {
    let digests = ["sha256", "sha384", "sha512"].into_iter().cycle();
    for ((at, key), digest) in KEYS.into_iter().enumerate().zip(digests) {
        // ECDSA with SHA-512 is signed by nobody.
        let digest = if digest == "sha512" { "sha256" } else { digest };
        let pki = Pki::new(
            &format!("keys{at}"),
            key,
            key,
            digest,
            &format!("DNS:{NAME}"),
        );
        let mut met = pki.meet(external(NAME, &[pki.root()]), now(), &[]);
        let end = met
            .end
            .unwrap_or_else(|why| panic!("{key}, {digest}: {why}"));
        assert!(end.peer.is_none() && !end.confirmed);
        exchange(&end, &mut met.stream, &mut met.openssl);
    }
}

#[test]
fn it_is_held_to_its_name() {
    for (at, (san, is_it)) in [
        ("DNS:other.example", false),
        ("DNS:bank.example", false),
        ("DNS:*.api.bank.example", false),
        ("URI:spiffe://example.org/api.bank.example", false),
        ("DNS:other.example,DNS:API.bank.example", true),
        ("DNS:*.bank.example", true),
    ]
    .into_iter()
    .enumerate()
    {
        let pki = Pki::new(&format!("names{at}"), P256, P256, "sha256", san);
        let met = pki.meet(external(NAME, &[pki.root()]), now(), &[]);
        match met.end {
            Ok(_) => assert!(is_it, "{san}"),
            Err(why) => {
                assert!(
                    !is_it && why.reason() == Reason::PeerUnauthenticated,
                    "{san}: {why}"
                );
                assert!(
                    why.to_string()
                        .starts_with("the server is not `api.bank.example`: "),
                    "{why}"
                );
            }
        }
    }
}

#[test]
fn only_its_own_roots_vouch_for_it() {
    let san = format!("DNS:{NAME}");
    let (pki, other) = (
        Pki::new("own", P256, P256, "sha256", &san),
        Pki::new("other", P256, P256, "sha256", &san),
    );
    let met = pki.meet(external(NAME, &[]), now(), &[]);
    assert_eq!(met.refused_for(), not_it(Path::UnknownIssuer));
    // Another of the same name.
    let met = pki.meet(external(NAME, &[other.root()]), now(), &[]);
    assert_eq!(
        met.refused_for(),
        not_it(Path::InvalidSignatureForPublicKey)
    );
    assert!(
        pki.meet(external(NAME, &[other.root(), pki.root()]), now(), &[])
            .end
            .is_ok()
    );
}

#[test]
fn it_is_held_to_the_dates_of_its_certificate() {
    let pki = Pki::new("dates", P256, P256, "sha256", &format!("DNS:{NAME}"));
    for (days, early) in [(-2, true), (4, false)] {
        let unix = now().unix + days * DAY;
        let met = pki.meet(external(NAME, &[pki.root()]), Now { unix, ..now() }, &[]);
        match met.refused_for() {
            PeerError::External {
                why: Path::CertNotValidYet { .. },
                ..
            } => assert!(early),
            PeerError::External {
                why: Path::CertExpired { .. },
                ..
            } => assert!(!early),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn short_keys_and_older_versions_are_refused() {
    let san = format!("DNS:{NAME}");
    let pki = Pki::new("short", P256, "rsa:1024", "sha256", &san);
    // OpenSSL itself signs with such a key at its lowest level only.
    let met = pki.meet(
        external(NAME, &[pki.root()]),
        now(),
        &["-cipher", "ALL:@SECLEVEL=0"],
    );
    assert_eq!(met.refused_for(), PeerError::Signature);
    let pki = Pki::new("old", P256, P256, "sha256", &san);
    let met = pki.meet(external(NAME, &[pki.root()]), now(), &["-tls1_2"]);
    assert_eq!(met.end.expect_err("refused").reason(), Reason::PeerRefused);
}

#[test]
fn a_server_that_asks_for_a_certificate_gets_none() {
    let pki = Pki::new("asks", P256, P256, "sha256", &format!("DNS:{NAME}"));
    let mut met = pki.meet(external(NAME, &[pki.root()]), now(), &["-verify", "3"]);
    let end = met.end.unwrap_or_else(|why| panic!("{why}"));
    exchange(&end, &mut met.stream, &mut met.openssl);
}

#[test]
fn what_is_no_name_and_no_root_is_refused() {
    for name in ["", "a b", "*.a", "-a", "a..b"] {
        assert_eq!(
            External::new(name, Arc::default()).unwrap_err(),
            ExternalError::NotAName,
            "{name}"
        );
    }
    let pki = Pki::new("roots", P256, P256, "sha256", "DNS:a");
    let mut roots = Roots::new();
    assert!(matches!(
        roots.add(b"no certificate"),
        Err(ExternalError::NotAnAnchor(_))
    ));
    assert!(matches!(
        roots.add(&vec![0; 1 << 20]),
        Err(ExternalError::TooLong { .. })
    ));
    for _ in 0..MAX_ROOTS {
        roots.add(&pki.root()).expect("room");
    }
    assert_eq!(roots.add(&pki.root()), Err(ExternalError::TooMany));
}
