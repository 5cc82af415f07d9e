//! What a policy is told of an HTTP/1.1 request: a method, a path and a host of which each has one spelling only.
//!
//! Who decides about a path and who serves it must not read two different ones. So a path is taken only in the form in which
//! RFC 3986 §6.2.2 leaves it, and what a server behind us might read in another way (a segment `..`, an empty one, `%2F`) is
//! refused, not repaired. What no form tells is left to who writes policies: that a server takes upper and lower case for the same,
//! or does not look at what follows a `;`.

use super::Refusal;
use super::head;

/// Longest host, in bytes: that of a DNS name.
pub const MAX_HOST_BYTES: usize = 255;

/// A request, as far as policies ask for it.
#[derive(Clone, Copy, Debug)]
pub struct HttpRequest<'h> {
    /// As sent: methods are compared with regard to case (RFC 9110 §9.1).
    pub method: &'h str,
    /// Of the target, without the query. Begins with `/`, or is `*` (of `OPTIONS`).
    pub path: &'h str,
    /// `None`: HTTP/1.0 without the field.
    pub host: Option<Host>,
}

/// A host in lower case, without its port.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    bytes: [u8; MAX_HOST_BYTES],
    len: usize,
}

impl Host {
    /// The text, which is ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }

    /// RFC 9110 §7.2: a name or an address, and perhaps a port. Of names the final dot, which another spelling is without, is refused.
    fn read(value: &[u8]) -> Option<Self> {
        let (name, port) = match value.iter().rposition(|&byte| byte == b':') {
            // An IPv6 address has colons of its own, and brackets around them.
            Some(colon) if !value.ends_with(b"]") => {
                (value.get(..colon)?, value.get(colon.checked_add(1)?..)?)
            }
            _ => (value, &b""[..]),
        };
        let bracketed = name.starts_with(b"[") && name.ends_with(b"]");
        let inner = match name {
            [b'[', inner @ .., b']'] => inner,
            name => name,
        };
        let fits = |byte: &u8| match byte {
            b'-' | b'.' | b'_' => !bracketed || *byte == b'.',
            b':' => bracketed,
            byte => byte.is_ascii_alphanumeric(),
        };
        let named = !inner.is_empty() && inner.iter().all(fits) && !inner.ends_with(b".");
        if !named || port.len() > 5 || !port.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let mut bytes = [0; MAX_HOST_BYTES];
        let place = bytes.get_mut(..name.len())?;
        place
            .iter_mut()
            .zip(name)
            .for_each(|(to, from)| *to = from.to_ascii_lowercase());
        Some(Self {
            bytes,
            len: name.len(),
        })
    }
}

/// Reads a head that [`head::read`] has approved.
pub(super) fn read(head: &[u8]) -> Result<HttpRequest<'_>, Refusal> {
    let (request, mut rest) = head::line(head).ok_or(Refusal::RequestLine)?;
    let (method, target, old) = head::request_line(request)?;
    let mut host = None;
    while let Some((text, behind)) = head::line(rest) {
        rest = behind;
        if text.is_empty() {
            break;
        }
        let (name, value) = head::field(text)?;
        if head::is_like(name, b"host") {
            // Which of two a server reads is its own affair, and so is what it takes for the same name.
            if host.is_some() || !name.eq_ignore_ascii_case(b"host") {
                return Err(Refusal::Host);
            }
            host = Some(Host::read(value).ok_or(Refusal::Host)?);
        }
    }
    if host.is_none() && !old {
        return Err(Refusal::Host);
    }
    Ok(HttpRequest {
        method: core::str::from_utf8(method).map_err(|_| Refusal::RequestLine)?,
        path: path(method, target).ok_or(Refusal::Path)?,
        host,
    })
}

/// The path of a target, if it has no other spelling.
fn path<'t>(method: &[u8], target: &'t [u8]) -> Option<&'t str> {
    if method == b"OPTIONS" && target == b"*" {
        return Some("*");
    }
    let end = target.iter().position(|&byte| byte == b'?');
    let path = target.get(..end.unwrap_or(target.len()))?;
    let segments = path.strip_prefix(b"/")?;
    let mut segments = segments.split(|&byte| byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        // An empty one is only what a final slash leaves.
        if (segment.is_empty() && segments.peek().is_some()) || !has_one_spelling(segment) {
            return None;
        }
    }
    core::str::from_utf8(path).ok()
}

/// A segment of RFC 3986 §3.3 in normal form, that means neither this folder nor the one above, also to who cuts it off at a `;`.
fn has_one_spelling(segment: &[u8]) -> bool {
    let parameters = segment.iter().position(|&byte| byte == b';');
    let name = segment
        .get(..parameters.unwrap_or(segment.len()))
        .unwrap_or_default();
    if name == b"." || name == b".." {
        return false;
    }
    let mut rest = segment;
    loop {
        rest = match rest {
            [] => return true,
            [b'%', high, low, behind @ ..] if encodes_what_has_to_be(*high, *low) => behind,
            [byte, behind @ ..] if is_pchar(*byte) => behind,
            _ => return false,
        };
    }
}

/// Upper-case digits, of a byte that cannot stand in a segment as it is, and that nobody takes for a separator or the end.
fn encodes_what_has_to_be(high: u8, low: u8) -> bool {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit.wrapping_sub(b'0')),
        b'A'..=b'F' => Some(digit.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    };
    let (Some(high), Some(low)) = (nibble(high), nibble(low)) else {
        return false;
    };
    let byte = high << 4 | low;
    byte >= b' ' && byte != 0x7f && !is_pchar(byte) && !b"/\\%".contains(&byte)
}

/// RFC 3986 §3.3, but for what is encoded.
fn is_pchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

#[cfg(test)]
mod tests;
