//! Subject alternative names (RFC 5280 §4.2.1.6).

use super::CertificateError;
use super::extensions::only;
use crate::der::{Element, Reader, SEQUENCE};

const RFC822_NAME: u8 = 0x81;
const DNS_NAME: u8 = 0x82;
const URI: u8 = 0x86;
const IP_ADDRESS: u8 = 0x87;
const REGISTERED_ID: u8 = 0x88;
const OTHER_NAME: u8 = 0xa0;
const X400_ADDRESS: u8 = 0xa3;
const DIRECTORY_NAME: u8 = 0xa4;
const EDI_PARTY_NAME: u8 = 0xa5;

/// One subject alternative name. Names are as the certificate has them: ASCII, else unchecked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum GeneralName<'a> {
    /// A URI; in an SVID the SPIFFE ID.
    Uri(&'a str),
    /// A DNS name.
    Dns(&'a str),
    /// An IP address: 4 or 16 bytes unless the issuer erred.
    Ip(&'a [u8]),
    /// Another kind, by its DER tag.
    Other {
        /// The DER tag.
        tag: u8,
        /// The contents.
        value: &'a [u8],
    },
}

/// The subject alternative names of a certificate, in order.
#[derive(Clone, Debug)]
pub struct GeneralNames<'a>(Reader<'a>);

impl<'a> Iterator for GeneralNames<'a> {
    type Item = GeneralName<'a>;

    fn next(&mut self) -> Option<GeneralName<'a>> {
        // INVARIANT: `parse` has read every name, so none fails here.
        self.0
            .element()
            .ok()
            .and_then(|element| general_name(&element).ok())
    }
}

impl<'a> GeneralNames<'a> {
    pub(super) fn none() -> Self {
        Self(Reader::new(&[]))
    }

    /// The only URI, or how many there are instead.
    pub(super) fn only_uri(&self) -> Result<&'a str, usize> {
        let mut only = None;
        let mut count: usize = 0;
        // Bounded by MAX_CERTIFICATE_BYTES: each name takes two bytes or more.
        for name in self.clone() {
            if let GeneralName::Uri(uri) = name {
                only = Some(uri);
                count = count.saturating_add(1);
            }
        }
        match only {
            Some(uri) if count == 1 => Ok(uri),
            _ => Err(count),
        }
    }
}

/// Reads the value of a subjectAltName extension.
pub(super) fn parse<'a>(value: &Element<'a>) -> Result<GeneralNames<'a>, CertificateError> {
    let list = only(value, SEQUENCE)?;
    let mut names = list.reader();
    if names.is_empty() {
        return Err(CertificateError::NoNames { at: list.at });
    }
    while !names.is_empty() {
        general_name(&names.element()?)?;
    }
    Ok(GeneralNames(list.reader()))
}

fn general_name<'a>(element: &Element<'a>) -> Result<GeneralName<'a>, CertificateError> {
    let bad = CertificateError::Name { at: element.at };
    let ascii = || match core::str::from_utf8(element.value) {
        Ok(text) if text.is_ascii() => Ok(text),
        _ => Err(bad),
    };
    match element.tag {
        URI => ascii().map(GeneralName::Uri),
        DNS_NAME => ascii().map(GeneralName::Dns),
        IP_ADDRESS => Ok(GeneralName::Ip(element.value)),
        RFC822_NAME | REGISTERED_ID | OTHER_NAME | X400_ADDRESS | DIRECTORY_NAME
        | EDI_PARTY_NAME => Ok(GeneralName::Other {
            tag: element.tag,
            value: element.value,
        }),
        _ => Err(bad),
    }
}
