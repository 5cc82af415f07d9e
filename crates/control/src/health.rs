//! A small HTTP listener for those who watch, `/livez`, `/readyz`, `/metrics`, and for relying parties, lists of what is revoked.
//! Nothing to be changed, nothing secret, and one request for each connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::audit::{Actor, AuditEntry};
use crate::authority::Kind;
use crate::clock;
use crate::core::Core;
use crate::crl::CrlRefusal;
use crate::metrics;

/// Most requests at once. Further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 32;

/// Longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 8_192;

/// How long a request may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Below this lie lists of revoked SVIDs, named after their authorities.
const LISTS: &str = "/crl/";

/// How long to wait after accepting failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long the active authority has to last for the control plane to be of use: the shortest life of an SVID.
const LEAST_SECS: i64 = tidelock_ca::MIN_SVID_TTL_SECS as i64;

/// A status and a body.
struct Answer {
    status: &'static str,
    kind: &'static str,
    body: Vec<u8>,
}

/// Answers until the control plane stops.
pub(crate) async fn serve(core: Arc<Core>, listener: TcpListener) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = core.stopping() => return,
        };
        match accepted {
            Ok((stream, remote)) => {
                let core = Arc::clone(&core);
                tokio::spawn(async move {
                    let _slot = slot;
                    let talked = tokio::select! {
                        talked = timeout(DEADLINE, talk(&core, stream)) => talked,
                        // Who says nothing does not keep the control plane from stopping.
                        () = core.stopping() => return,
                    };
                    match talked {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => tracing::debug!(%remote, %error, "a health request"),
                        Err(_) => tracing::debug!(%remote, "a health request took too long"),
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a health request");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn talk(core: &Arc<Core>, mut stream: TcpStream) -> io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    let answer = loop {
        if ended(&head) {
            break answer(core, &head).await;
        }
        if head.len() >= MAX_HEAD_BYTES {
            break plain(
                "431 Request Header Fields Too Large",
                "the request is too long\n",
            );
        }
        let room = (MAX_HEAD_BYTES - head.len()) as u64;
        if (&mut stream).take(room).read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    };
    let body = if head.starts_with(b"HEAD ") {
        &[]
    } else {
        &answer.body[..]
    };
    let text = format!(
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.kind,
        answer.body.len(),
    );
    stream.write_all(text.as_bytes()).await?;
    stream.write_all(body).await?;
    stream.shutdown().await
}

fn ended(head: &[u8]) -> bool {
    head.windows(4).any(|window| window == b"\r\n\r\n")
}

async fn answer(core: &Arc<Core>, head: &[u8]) -> Answer {
    match target(head) {
        Err(refused) => refused,
        Ok("/livez") => plain("200 OK", "ok\n"),
        Ok("/readyz") => ready(core).await,
        Ok("/metrics") => {
            let audit = core.with_store(|store| store.audit_head()).await.ok();
            Answer {
                kind: "text/plain; version=0.0.4; charset=utf-8",
                ..plain("200 OK", &metrics::page(core, audit))
            }
        }
        Ok(path) => match path
            .strip_prefix(LISTS)
            .and_then(|name| name.strip_suffix(".crl"))
        {
            Some(id) => list(core, id).await,
            None => plain(
                "404 Not Found",
                "there are /livez, /readyz, /metrics and /crl/AUTHORITY-ID.crl\n",
            ),
        },
    }
}

/// What is revoked of what an authority signed.
async fn list(core: &Arc<Core>, id: &str) -> Answer {
    match core.crl(id).await {
        Ok(list) => Answer {
            status: "200 OK",
            kind: "application/pkix-crl",
            body: list.to_vec(),
        },
        Err(error @ CrlRefusal::Failed) => plain("503 Service Unavailable", &format!("{error}\n")),
        Err(error) => plain("404 Not Found", &format!("{error}\n")),
    }
}

/// What is asked for, less a query.
fn target(head: &[u8]) -> Result<&str, Answer> {
    let bad = || plain("400 Bad Request", "this is not HTTP/1\n");
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| bad())?;
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad());
    };
    if !version.starts_with("HTTP/1.") {
        return Err(bad());
    }
    match method {
        "GET" | "HEAD" => Ok(target.split('?').next().unwrap_or_default()),
        _ => Err(plain(
            "405 Method Not Allowed",
            "there is nothing to be changed here\n",
        )),
    }
}

/// Whether it can do what it is there for; a line for each thing that keeps it from that.
async fn ready(core: &Arc<Core>) -> Answer {
    let mut wrong = String::new();
    if core.is_stopping() {
        wrong.push_str("it stops\n");
    }
    if core.with_store(|store| store.audit_head()).await.is_err() {
        wrong.push_str("the store does not answer\n");
    }
    if let Err(error) = core.watched.believes(clock::unix_secs()) {
        wrong.push_str(&format!("{error}\n"));
    } else if let Some(why) = cannot_write(core).await {
        wrong.push_str(&format!("nothing can be written: {why}\n"));
    }
    let least = clock::unix_secs().saturating_add(LEAST_SECS);
    if core.authority.not_after(Kind::X509) < least {
        wrong.push_str("no authority can sign\n");
    }
    if core.authority.not_after(Kind::Jwt) < least {
        wrong.push_str("no authority can sign JWT-SVIDs\n");
    }
    match wrong.is_empty() {
        true => plain("200 OK", "ok\n"),
        false => plain("503 Service Unavailable", &wrong),
    }
}

/// Why nothing can be written, if the last change was not and it is not over yet. Whoever watches keeps others from asking, so
/// it is tried here; that it is over is worth an entry.
async fn cannot_write(core: &Arc<Core>) -> Option<String> {
    let why = core.watched.failing()?;
    let detail = serde_json::json!({"failed": why});
    let entry = AuditEntry::now(&Actor::Control, "store-recovered", "", &detail);
    let tried = core.with_store(move |store| store.append_audit(&[entry]));
    tried.await.err().map(|_| why)
}

fn plain(status: &'static str, body: &str) -> Answer {
    Answer {
        status,
        kind: "text/plain; charset=utf-8",
        body: body.as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(head: &str) -> &'static str {
        target(head.as_bytes())
            .err()
            .map_or("taken", |answer| answer.status)
    }

    #[test]
    fn only_what_reads_is_taken() {
        assert_eq!(
            target(b"GET /metrics?x=1 HTTP/1.1\r\n\r\n").ok(),
            Some("/metrics")
        );
        assert_eq!(target(b"HEAD /livez HTTP/1.0\r\n\r\n").ok(), Some("/livez"));
        assert_eq!(
            refusal("POST /metrics HTTP/1.1\r\n\r\n"),
            "405 Method Not Allowed"
        );
        for bad in [
            "",
            "GET",
            "GET /",
            "GET / HTTP/2",
            "GET  / HTTP/1.1",
            "GET / x HTTP/1.1",
        ] {
            assert_eq!(refusal(bad), "400 Bad Request", "{bad:?}");
        }
    }

    #[test]
    fn a_head_ends_with_an_empty_line() {
        assert!(ended(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(!ended(b"GET / HTTP/1.1\r\nHost: x\r\n"));
    }
}
