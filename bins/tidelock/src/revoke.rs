//! `revoke`: SVIDs that are believed no more.

use std::io::Write as _;

use anyhow::bail;
use tidelock_proto::v1::RevokeRequest;
use tidelock_proto::v1::revoke_request::What as Target;
use tidelock_spiffe_core::x509::MAX_SERIAL_BYTES;

use crate::args::{Output, Revocable};
use crate::connect::{Admin, refusal};
use crate::span;
use crate::view::revoked as view;

/// Revokes what is named, and says which SVIDs that were.
pub(crate) async fn revoke(
    admin: &mut Admin,
    what: Revocable,
    name: String,
    reason: String,
    output: Output,
) -> anyhow::Result<()> {
    let target = match what {
        Revocable::Svid => Target::Serial(serial(&name)?),
        Revocable::Identity => Target::SpiffeId(name),
        Revocable::Node => Target::Node(name),
    };
    let request = RevokeRequest {
        what: Some(target),
        reason,
    };
    let answer = admin.revoke(request).await.map_err(refusal)?.into_inner();
    let (view, now) = (view::view(answer), span::now_secs());
    let mut out = std::io::stdout().lock();
    match output {
        Output::Table => {
            let (text, rows) = (view::text(&view, now), view::left_out_rows(&view, now));
            write!(out, "{text}{rows}")?;
        }
        Output::Json => writeln!(out, "{}", serde_json::to_string(&view)?)?,
    }
    // Whoever does not read it is to notice.
    match view::left_out(&view, now) {
        Some(told) => bail!(told),
        None => Ok(()),
    }
}

/// Hexadecimal digits as `get identities` and `get flows` show them, perhaps with colons between bytes.
fn serial(text: &str) -> anyhow::Result<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|&c| c != ':')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    match digits {
        Some(digits)
            if digits.len() % 2 == 0 && (2..=2 * MAX_SERIAL_BYTES).contains(&digits.len()) =>
        {
            let byte = |pair: &[u8]| pair.iter().fold(0, |byte, digit| byte << 4 | digit);
            Ok(digits.chunks(2).map(byte).collect())
        }
        _ => bail!(
            "`{text}` is no serial number: two hexadecimal digits for each of 1 to {MAX_SERIAL_BYTES} bytes, as `tidelock -o json get identities` shows them"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::serial;

    #[test]
    fn a_serial_is_whole_bytes_in_hexadecimal() {
        assert_eq!(serial("41ab").unwrap(), [0x41, 0xab]);
        assert_eq!(serial("41:AB:00").unwrap(), [0x41, 0xab, 0]);
        assert_eq!(serial(&"ff".repeat(20)).unwrap(), [0xff; 20]);
        for wrong in ["", ":", "4", "41a", "4g", "-1", &"ff".repeat(21)] {
            assert!(serial(wrong).is_err(), "{wrong}");
        }
    }
}
