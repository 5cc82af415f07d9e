//! The head of an HTTP/1.1 request (RFC 9112), read strictly: whatever two readers could take for
//! two different requests is refused, for the one behind us decides by what we put in.

use super::Refusal;

/// Longest head of a request, in bytes; nginx and Apache allow less by default.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The field that tells who the caller is, in lower case.
const FORWARDED: &[u8] = b"x-forwarded-client-cert";

/// How the body of a request ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Body {
    /// After so many bytes.
    Length(u64),
    /// With the chunk of length 0.
    Chunked,
}

/// The length of the head at the start of `bytes`, its blank line included; `None` if its end has not
/// come. `seen` bytes were looked at before.
pub(super) fn length(bytes: &[u8], seen: usize) -> Result<Option<usize>, Refusal> {
    let mut at = seen;
    while let Some(found) = find(bytes.get(at..).unwrap_or_default(), b'\n') {
        let feed = at.saturating_add(found);
        let before = bytes.get(..feed).unwrap_or_default();
        at = feed.saturating_add(1);
        if !before.ends_with(b"\r") {
            return Err(Refusal::BareLineFeed);
        }
        if before.ends_with(b"\r\n\r") {
            return if at > MAX_HEAD_BYTES {
                Err(Refusal::HeadTooLong)
            } else {
                Ok(Some(at))
            };
        }
    }
    if bytes.len() > MAX_HEAD_BYTES {
        return Err(Refusal::HeadTooLong);
    }
    Ok(None)
}

fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().position(|&byte| byte == wanted)
}

/// The first line without its end, and what lies behind it; `None` without a whole line.
pub(super) fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let feed = find(bytes, b'\n')?;
    let line = bytes.get(..feed)?;
    Some((
        line.strip_suffix(b"\r").unwrap_or(line),
        bytes.get(feed.saturating_add(1)..)?,
    ))
}

/// Reads a whole head: the rules of a request line and of every field, and how the body ends.
pub(super) fn read(head: &[u8]) -> Result<Body, Refusal> {
    let (request, mut rest) = line(head).ok_or(Refusal::RequestLine)?;
    let mut framing = Framing {
        old: request_line(request)?.2,
        length: None,
        chunked: false,
    };
    while let Some((text, behind)) = line(rest) {
        rest = behind;
        if text.is_empty() {
            break;
        }
        let (name, value) = field(text)?;
        framing.note(name, value)?;
        if name.eq_ignore_ascii_case(b"connection") && names_forwarded(value) {
            return Err(Refusal::HopByHop);
        }
    }
    framing.body()
}

/// Is the field in this line, which [`read`] has approved, for the program?
///
/// Not so the peer's own word for who it is; nor `Upgrade`: what follows an upgrade is no HTTP, and a
/// server may always go on without (RFC 9110 §7.8).
pub(super) fn is_kept(text: &[u8]) -> bool {
    field(text).is_ok_and(|(name, _)| !is_forwarded(name) && !name.eq_ignore_ascii_case(b"upgrade"))
}

/// RFC 9112 §3: method, target, and whether it is of HTTP/1.0.
pub(super) fn request_line(text: &[u8]) -> Result<(&[u8], &[u8], bool), Refusal> {
    let (method, rest) = split(text, b' ').ok_or(Refusal::RequestLine)?;
    let (target, version) = split(rest, b' ').ok_or(Refusal::RequestLine)?;
    let visible = |byte: &u8| byte.is_ascii_graphic() || *byte >= 0x80;
    if !is_token(method) || target.is_empty() || !target.iter().all(visible) {
        return Err(Refusal::RequestLine);
    }
    if method == b"CONNECT" {
        return Err(Refusal::Connect);
    }
    match version {
        b"HTTP/1.1" => Ok((method, target, false)),
        b"HTTP/1.0" => Ok((method, target, true)),
        _ => Err(Refusal::RequestLine),
    }
}

/// RFC 9112 §5: name and value, the value without the white space around it.
pub(super) fn field(text: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let (name, value) = split(text, b':').ok_or(Refusal::Field)?;
    let is_text = |byte: &u8| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f;
    if is_token(name) && value.iter().all(is_text) {
        Ok((name, value.trim_ascii()))
    } else {
        Err(Refusal::Field)
    }
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let found = find(text, at)?;
    Some((text.get(..found)?, text.get(found.saturating_add(1)..)?))
}

/// RFC 9110 §5.6.2.
fn is_token(text: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(allowed)
}

/// Some servers take `-` and `_` in a field's name for the same: whatever one of them would read is
/// taken out.
pub(super) fn is_forwarded(name: &[u8]) -> bool {
    is_like(name, FORWARDED)
}

fn names_forwarded(list: &[u8]) -> bool {
    list.split(|&byte| byte == b',')
        .any(|option| is_forwarded(option.trim_ascii()))
}

/// RFC 9112 §6, without its leniencies: two lengths, even equal ones, are refused, and so is any
/// coding but `chunked`.
struct Framing {
    old: bool,
    length: Option<u64>,
    chunked: bool,
}

impl Framing {
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = decimal(value).ok_or(Refusal::Framing)?;
            if self.length.replace(length).is_some() {
                return Err(Refusal::Framing);
            }
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::Framing);
            }
            self.chunked = true;
        }
        // For some readers an underscore is a hyphen: a length that only they see is none that we see.
        if name.contains(&b'_')
            && (is_like(name, b"content-length") || is_like(name, b"transfer-encoding"))
        {
            return Err(Refusal::Framing);
        }
        Ok(())
    }

    fn body(&self) -> Result<Body, Refusal> {
        match (self.chunked, self.length) {
            (true, None) if !self.old => Ok(Body::Chunked),
            (true, _) => Err(Refusal::Framing),
            (false, length) => Ok(Body::Length(length.unwrap_or(0))),
        }
    }
}

/// The same name, in any case and with underscores for hyphens.
pub(super) fn is_like(name: &[u8], own: &[u8]) -> bool {
    let same = |(byte, own): (&u8, &u8)| match byte {
        b'_' => *own == b'-',
        byte => byte.to_ascii_lowercase() == *own,
    };
    name.len() == own.len() && name.iter().zip(own).all(same)
}

/// Digits only, and what fits.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |n, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        n.checked_mul(10)?.checked_add(u64::from(digit))
    })
}
