//! From what was observed, the least policy that permits it.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::net::SocketAddr;

use serde_json::{Deserializer, Value as Json};

use super::suite::FileError;
use crate::bounds::MAX_STRING_BYTES;

/// The action that opens a connection, by the published schema.
const CONNECT: &str = "connect";

/// A connection that was seen: who, to what, at which port.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Seen {
    /// The id of the Workload that connected.
    pub client: String,
    /// The id of the Service.
    pub service: String,
    /// The port of the server's end.
    pub port: u16,
}

/// What was read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Flows {
    /// The connections, each as often as it was told.
    pub seen: Vec<Seen>,
    /// How many records tell too little: no identity, no Service or no address.
    pub incomplete: usize,
}

/// Reads flows as `tidelock get flows -o json` and `tidelock events -o json` print them: JSON values one after the other.
/// Of events, flows that opened count, and if `denied` is set those that no permit matched.
///
/// # Errors
/// Where it is no JSON.
pub fn read_flows(file: &str, text: &str, denied: bool) -> Result<Flows, FileError> {
    let mut flows = Flows::default();
    for value in Deserializer::from_str(text).into_iter::<Json>() {
        let value = value.map_err(|error| FileError {
            file: file.to_owned(),
            line: u32::try_from(error.line()).unwrap_or(u32::MAX),
            column: u32::try_from(error.column()).unwrap_or(u32::MAX),
            reason: format!("is not JSON as `tidelock get flows -o json` prints it: {error}"),
        })?;
        match (value.get("flows"), value.get("what").and_then(Json::as_str)) {
            (Some(Json::Array(rows)), _) => rows.iter().for_each(|row| flows.take(row)),
            (None, Some(what)) => {
                let data = value.get("data").unwrap_or(&Json::Null);
                let reason = data.get("reason").and_then(Json::as_str);
                match what {
                    "flow-opened" => flows.take(data),
                    "denied" if denied && reason == Some("no_permit") => flows.take(data),
                    _ => {}
                }
            }
            _ => {
                return Err(FileError {
                    file: file.to_owned(),
                    line: 1,
                    column: 1,
                    reason: "holds neither `flows` nor events: give it what `tidelock get flows -o json` prints"
                        .to_owned(),
                });
            }
        }
    }
    Ok(flows)
}

impl Flows {
    fn take(&mut self, row: &Json) {
        match seen(row) {
            Some(seen) => self.seen.push(seen),
            None => self.incomplete = self.incomplete.saturating_add(1),
        }
    }
}

/// A row of `flows`, or the data of an event. Both ends tell of a flow; the port is that of the server's.
fn seen(row: &Json) -> Option<Seen> {
    let text = |name: &str| row.get(name).and_then(Json::as_str);
    let (server_end, own_is_client) = match text("role")? {
        "client" => ("remote", true),
        "server" => ("local", false),
        _ => return None,
    };
    // Refusals name the ends, flows name client and server.
    let client =
        text("client_id").or_else(|| text(if own_is_client { "local_id" } else { "peer_id" }));
    let address: SocketAddr = text(server_end)?.parse().ok()?;
    Some(Seen {
        client: client?.to_owned(),
        service: text("service")?.to_owned(),
        port: address.port(),
    })
}

/// Most ports of one permit: written out they stay below [`MAX_POLICY_BYTES`](crate::compile::bounds::MAX_POLICY_BYTES), beside
/// the longest names.
const MAX_PORTS: usize = 4_096;

/// The least policy that permits these connections, as Cedar: one permit for each client and Service, of just the ports
/// that were seen; several, each of a name of its own, where the ports are too many for one. The same connections make the
/// same text, in whatever order they were seen and however often.
#[must_use]
pub fn suggest(seen: &[Seen]) -> String {
    let mut pairs: BTreeMap<(&str, &str), BTreeSet<u16>> = BTreeMap::new();
    for Seen {
        client,
        service,
        port,
    } in seen
    {
        pairs.entry((client, service)).or_default().insert(*port);
    }
    let mut text = String::new();
    for ((client, service), ports) in pairs {
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        for (number, ports) in (1_u32..).zip(ports.chunks(MAX_PORTS)) {
            let more = match number {
                1 => String::new(),
                number => format!(" ({number})"),
            };
            permit(&mut text, client, service, &more, ports);
        }
    }
    text
}

/// Appends one permit. Names that are too long for an image are left out: it is then named by its place.
fn permit(text: &mut String, client: &str, service: &str, more: &str, ports: &[String]) {
    if !text.is_empty() {
        text.push('\n');
    }
    let when = match ports {
        [port] => format!("context.port == {port}"),
        ports => format!("[{}].contains(context.port)", ports.join(", ")),
    };
    let name = format!("{client} to {service}{more}");
    if name.len() <= MAX_STRING_BYTES {
        let _ = writeln!(text, "@id({})", quoted(&name));
    }
    let (client, service) = (quoted(client), quoted(service));
    let _ = write!(
        text,
        "permit (\n  principal == Workload::{client},\n  action == Action::\"{CONNECT}\",\n  \
         resource == Service::{service}\n) when {{ {when} }};\n"
    );
}

/// A string of Cedar. What is not printable ASCII is escaped: nothing in a name can make a policy read as another.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            _ => quoted.extend(c.escape_unicode()),
        }
    }
    quoted.push('"');
    quoted
}
