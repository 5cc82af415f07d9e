//! An agent that comes back is sent only what has changed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidelock_agent::{DeviceSource, JoinToken, JoinWith, Options, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::kernel::Kernel;
use super::plane::{Plane, Running};

/// Stands between agent and control plane, and counts the bytes that the agent is sent.
struct Relay {
    address: SocketAddr,
    sent: Arc<AtomicUsize>,
}

impl Relay {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        tokio::spawn(async move {
            while let Ok((agent, _)) = listener.accept().await {
                tokio::spawn(pass(agent, server, Arc::clone(&count)));
            }
        });
        Self { address, sent }
    }

    /// How many were sent since this was last asked.
    fn take(&self) -> usize {
        self.sent.swap(0, Ordering::Relaxed)
    }
}

async fn pass(agent: TcpStream, server: SocketAddr, count: Arc<AtomicUsize>) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (mut from_agent, mut to_agent) = agent.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = tokio::spawn(async move { tokio::io::copy(&mut from_agent, &mut to_server).await });
    let mut buf = vec![0; 16 * 1024];
    while let Ok(len @ 1..) = from_server.read(&mut buf).await {
        count.fetch_add(len, Ordering::Relaxed);
        if to_agent.write_all(&buf[..len]).await.is_err() {
            break;
        }
    }
    up.abort();
}

/// A Service of which a number says who serves it.
fn service(n: usize, server: u32) -> String {
    let (high, low) = (n / 256, n % 256);
    format!(
        "---\napiVersion: tidelock.dev/v1\nkind: Service\nmetadata: {{name: service-{n}}}\nspec:\n  \
         addresses: ['10.1.{high}.{low}:443']\n  \
         servers: ['spiffe://example.org/some/longer/path/of/servers/{server}']\n"
    )
}

/// Bytes of state that is worth not sending again.
const MUCH: usize = 40_000;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_started_anew_catches_up_without_being_sent_everything() {
    let (mut plane, kernel) = (Plane::start().await, Kernel::new());
    let relay = Relay::to(plane.server().address.parse().unwrap()).await;
    let options = |token: Option<JoinToken>| Options {
        server: Server {
            address: relay.address.to_string(),
            ..plane.server()
        },
        join_with: token.map(JoinWith::Token),
        data_dir: plane.data_dir(),
        device: DeviceSource::Open(kernel.opener()),
    };
    let many: String = (0..500).map(|n| service(n, 1)).collect();
    let generation = plane.apply(&many).await;
    let agent = Running::with(options(Some(plane.token().await)));
    agent.in_force(generation).await;
    assert!(relay.take() > MUCH);

    // What changes while it is there travels alone.
    let generation = plane.apply(&service(7, 2)).await;
    agent.in_force(generation).await;
    let sent = relay.take();
    assert!(sent < MUCH / 4, "{sent} bytes for one change");
    agent.kill().await;

    // What changes while it is away too, however often the control plane starts anew meanwhile.
    plane.apply(&service(8, 2)).await;
    let again = options(None);
    plane.stop().await;
    plane.resume().await;
    relay.take();
    let generation = plane.apply(&service(9, 2)).await;
    let agent = Running::with(again);
    agent.in_force(generation).await;
    let sent = relay.take();
    assert!(sent < MUCH / 4, "{sent} bytes to catch up");
    agent.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_of_the_state_holds_no_key_and_may_be_damaged() {
    let (plane, kernel) = (Plane::start().await, Kernel::new());
    let agent = Running::start(&plane, &kernel, Some(plane.token().await));
    agent.in_force(plane.apply(&service(1, 1)).await).await;
    // Of the change before; the one that is in force now may still be on its way there.
    agent.in_force(plane.apply(&service(2, 1)).await).await;
    agent.kill().await;
    let path = plane.data_dir().join("state.pb");
    let mut bytes = std::fs::read(&path).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("spiffe://example.org/some") && !text.contains("PRIVATE"));
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let generation = plane.apply(&service(3, 1)).await;
    let agent = Running::start(&plane, &kernel, None);
    agent.in_force(generation).await;
    agent.kill().await;
}
