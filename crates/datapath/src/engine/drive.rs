//! One turn of rustls' unbuffered state machine.

use alloc::vec::Vec;

use rustls::Error;
use rustls::client::ClientConnectionData;
use rustls::server::ServerConnectionData;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, UnbufferedConnectionCommon, UnbufferedStatus,
};

/// Most states rustls may pass through for one record: each message of a flight is one encode and
/// one transmit.
const MAX_STATES: usize = 64;

/// Where rustls stands when it needs us.
#[derive(Debug)]
pub(super) enum Stop {
    /// It needs another record.
    Blocked,
    /// It could carry application data.
    Traffic,
    /// Application data arrived.
    Data,
    /// The peer sent close_notify.
    Closed,
    /// It gave up.
    Failed(Error),
}

/// `process_tls_records`, which rustls has per side.
pub(super) trait Process {
    /// Which side.
    type Side;

    /// Takes records, gives the next state.
    fn process<'c, 'i>(&'c mut self, records: &'i mut [u8])
    -> UnbufferedStatus<'c, 'i, Self::Side>;

    /// Does it hold records that it would hand out next?
    fn has_records_to_send(&self) -> bool;
}

impl Process for UnbufferedConnectionCommon<ClientConnectionData> {
    type Side = ClientConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        records: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Side> {
        self.process_tls_records(records)
    }

    fn has_records_to_send(&self) -> bool {
        self.wants_write()
    }
}

impl Process for UnbufferedConnectionCommon<ServerConnectionData> {
    type Side = ServerConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        records: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Side> {
        self.process_tls_records(records)
    }

    fn has_records_to_send(&self) -> bool {
        self.wants_write()
    }
}

/// Runs `conn` over `records` until it needs us. What is to be sent is appended to `tx`, an alert
/// included. Gives where it stopped and how many bytes of `records` are done with.
pub(super) fn drive<C: Process>(
    conn: &mut C,
    records: &mut [u8],
    tx: &mut Vec<u8>,
) -> (Stop, usize) {
    let mut done = 0;
    for _ in 0..MAX_STATES {
        let rest = records.get_mut(done..).unwrap_or_default();
        let UnbufferedStatus { discard, state, .. } = conn.process(rest);
        done = done.saturating_add(discard);
        let stop = match state {
            Ok(ConnectionState::EncodeTlsData(data)) => match encode(data, tx) {
                Ok(()) => continue,
                Err(error) => Stop::Failed(error),
            },
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                continue;
            }
            Ok(ConnectionState::BlockedHandshake) => Stop::Blocked,
            Ok(ConnectionState::WriteTraffic(_)) => Stop::Traffic,
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Stop::Closed,
            Ok(_) => Stop::Data,
            Err(error) => {
                collect_alert(conn, records.get_mut(done..).unwrap_or_default(), tx);
                Stop::Failed(error)
            }
        };
        return (stop, done);
    }
    (
        Stop::Failed(Error::General("rustls does not settle".into())),
        done,
    )
}

/// After an error rustls may still hold records to send, the alert last. It is not called again
/// without any: it would read the bad record once more, and find it bad once more.
fn collect_alert<C: Process>(conn: &mut C, rest: &mut [u8], tx: &mut Vec<u8>) {
    for _ in 0..MAX_STATES {
        if !conn.has_records_to_send() {
            return;
        }
        match conn.process(rest).state {
            Ok(ConnectionState::EncodeTlsData(data)) => {
                if encode(data, tx).is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

/// Appends one encoded record to `tx`.
fn encode<Side>(mut data: EncodeTlsData<'_, Side>, tx: &mut Vec<u8>) -> Result<(), Error> {
    let needed = match data.encode(&mut []) {
        Err(EncodeError::InsufficientSize(size)) => size.required_size,
        Ok(written) => written,
        Err(EncodeError::AlreadyEncoded) => return Err(Error::EncryptError),
    };
    let start = tx.len();
    tx.reserve_exact(needed);
    tx.resize(start.saturating_add(needed), 0);
    let written = data.encode(tx.get_mut(start..).unwrap_or_default());
    written.map(|_| ()).map_err(|_| Error::EncryptError)
}
