//! The extensions that X509-SVID speaks of (RFC 5280 §4.2.1).

use super::names::{self, GeneralNames};
use super::{CertificateError, KeyUsageError, MAX_EXTENSIONS};
use crate::der::{BIT_STRING, BOOLEAN, Element, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE};

const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];

const ID_KP_SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
const ID_KP_CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

/// What the known extensions of one certificate say.
#[derive(Default)]
pub(super) struct Extensions<'a> {
    pub(super) basic_constraints: Option<BasicConstraints<'a>>,
    pub(super) key_usage: Option<KeyUsage>,
    pub(super) extended_key_usage: Option<ExtendedKeyUsage>,
    pub(super) alt_names: Option<AltNames<'a>>,
    /// A critical nameConstraints, which only a signing certificate may have (RFC 5280 §4.2.1.10).
    pub(super) critical_name_constraints: Option<usize>,
}

pub(super) struct AltNames<'a> {
    pub(super) names: GeneralNames<'a>,
    critical: bool,
}

#[derive(Clone, Copy, Default)]
pub(super) struct BasicConstraints<'a> {
    pub(super) ca: bool,
    pub(super) path_len: Option<&'a [u8]>,
}

pub(super) struct ExtendedKeyUsage {
    pub(super) server_auth: bool,
    pub(super) client_auth: bool,
}

/// The bits of keyUsage that X509-SVID §4.3 speaks of.
#[derive(Clone, Copy)]
pub(super) struct KeyUsage {
    critical: bool,
    bits: u8,
}

impl KeyUsage {
    const DIGITAL_SIGNATURE: u8 = 0x80;
    const KEY_CERT_SIGN: u8 = 0x04;
    const CRL_SIGN: u8 = 0x02;

    pub(super) fn digital_signature(self) -> bool {
        self.bits & Self::DIGITAL_SIGNATURE != 0
    }

    pub(super) fn key_cert_sign(self) -> bool {
        self.bits & Self::KEY_CERT_SIGN != 0
    }

    pub(super) fn crl_sign(self) -> bool {
        self.bits & Self::CRL_SIGN != 0
    }
}

/// One extension as it stands.
struct Extension<'a> {
    at: usize,
    oid: &'a [u8],
    critical: bool,
    value: Element<'a>,
}

impl<'a> Extensions<'a> {
    /// Reads the `[3]` field of a certificate.
    pub(super) fn parse(field: &Element<'a>) -> Result<Self, CertificateError> {
        let mut outer = field.reader();
        let list = outer.expect(SEQUENCE)?;
        outer.finish()?;
        let mut extensions = Self::default();
        let mut rest = list.reader();
        for number in 0..=MAX_EXTENSIONS {
            if rest.is_empty() {
                return Ok(extensions);
            }
            if number == MAX_EXTENSIONS {
                break;
            }
            let extension = Extension::read(&mut rest)?;
            if extension.is_repeated(list.reader(), number)? {
                return Err(CertificateError::DuplicateExtension { at: extension.at });
            }
            extensions.take(&extension)?;
        }
        Err(CertificateError::TooManyExtensions)
    }

    /// keyUsage, which every SVID has and marks critical (X509-SVID §4.3).
    pub(super) fn required_key_usage(&self) -> Result<KeyUsage, KeyUsageError> {
        match self.key_usage {
            None => Err(KeyUsageError::Missing),
            Some(KeyUsage {
                critical: false, ..
            }) => Err(KeyUsageError::NotCritical),
            Some(key_usage) => Ok(key_usage),
        }
    }

    pub(super) fn san_is_critical(&self) -> bool {
        self.alt_names.as_ref().is_some_and(|san| san.critical)
    }

    pub(super) fn is_ca(&self) -> bool {
        self.basic_constraints
            .is_some_and(|constraints| constraints.ca)
    }

    fn take(&mut self, extension: &Extension<'a>) -> Result<(), CertificateError> {
        let &Extension {
            at,
            oid,
            critical,
            value,
        } = extension;
        match oid {
            KEY_USAGE => self.key_usage = Some(key_usage(&value, critical)?),
            BASIC_CONSTRAINTS => self.basic_constraints = Some(basic_constraints(&value)?),
            EXTENDED_KEY_USAGE => self.extended_key_usage = Some(extended_key_usage(&value)?),
            SUBJECT_ALT_NAME => {
                self.alt_names = Some(AltNames {
                    names: names::parse(&value)?,
                    critical,
                });
            }
            NAME_CONSTRAINTS if critical => self.critical_name_constraints = Some(at),
            _ if critical => return Err(CertificateError::UnknownCritical { at }),
            _ => {}
        }
        Ok(())
    }
}

impl<'a> Extension<'a> {
    fn read(list: &mut Reader<'a>) -> Result<Self, CertificateError> {
        let extension = list.expect(SEQUENCE)?;
        let mut fields = extension.reader();
        let oid = fields.expect(OID)?.value;
        // DER leaves the default out, but issuers that write `FALSE` are common and unambiguous.
        let critical = fields
            .optional(BOOLEAN)?
            .map_or(Ok(false), |flag| flag.boolean())?;
        let value = fields.expect(OCTET_STRING)?;
        fields.finish()?;
        Ok(Self {
            at: extension.at,
            oid,
            critical,
            value,
        })
    }

    /// True if one of the first `number` extensions of `list` has the same OID (RFC 5280 §4.2).
    fn is_repeated(&self, mut list: Reader<'a>, number: usize) -> Result<bool, CertificateError> {
        for _ in 0..number {
            if Extension::read(&mut list)?.oid == self.oid {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Reads the one element that an extension's value is.
pub(super) fn only<'a>(value: &Element<'a>, tag: u8) -> Result<Element<'a>, CertificateError> {
    let mut inner = value.reader();
    let element = inner.expect(tag)?;
    inner.finish()?;
    Ok(element)
}

fn key_usage(value: &Element<'_>, critical: bool) -> Result<KeyUsage, CertificateError> {
    let bits = only(value, BIT_STRING)?.bit_string()?;
    Ok(KeyUsage {
        critical,
        bits: bits.first().copied().unwrap_or(0),
    })
}

fn basic_constraints<'a>(value: &Element<'a>) -> Result<BasicConstraints<'a>, CertificateError> {
    let mut fields = only(value, SEQUENCE)?.reader();
    let ca = fields
        .optional(BOOLEAN)?
        .map_or(Ok(false), |flag| flag.boolean())?;
    let path_len = match fields.optional(INTEGER)? {
        Some(number) => Some(number.integer()?),
        None => None,
    };
    fields.finish()?;
    Ok(BasicConstraints { ca, path_len })
}

fn extended_key_usage(value: &Element<'_>) -> Result<ExtendedKeyUsage, CertificateError> {
    let mut purposes = only(value, SEQUENCE)?.reader();
    let mut usage = ExtendedKeyUsage {
        server_auth: false,
        client_auth: false,
    };
    // Bounded by MAX_CERTIFICATE_BYTES: each purpose takes two bytes or more.
    while !purposes.is_empty() {
        match purposes.expect(OID)?.value {
            ID_KP_SERVER_AUTH => usage.server_auth = true,
            ID_KP_CLIENT_AUTH => usage.client_auth = true,
            _ => {}
        }
    }
    Ok(usage)
}
