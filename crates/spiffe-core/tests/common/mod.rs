//! Certificates for tests, made with rcgen, with full say over their extensions and fields.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses its own part"
)]

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, KeyPair};
use tidelock_spiffe_core::der::Reader;

pub const ID: &str = "spiffe://example.org/ns/web";

pub const KEY_USAGE: &[u64] = &[2, 5, 29, 15];
pub const SAN: &[u64] = &[2, 5, 29, 17];
pub const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
pub const NAME_CONSTRAINTS: &[u64] = &[2, 5, 29, 30];
pub const EKU: &[u64] = &[2, 5, 29, 37];
pub const UNHEARD_OF: &[u64] = &[1, 3, 6, 1, 4, 1, 99999, 1];

pub const SERVER_AUTH: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01";
pub const CLIENT_AUTH: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02";

pub const DIGITAL_SIGNATURE: u8 = 0x80;
pub const KEY_CERT_SIGN: u8 = 0x04;
pub const CRL_SIGN: u8 = 0x02;

/// One extension: OID, criticality, DER value.
#[derive(Clone)]
pub struct Ext(pub &'static [u64], pub bool, pub Vec<u8>);

/// A DER element of fewer than 65536 bytes.
pub fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let len = u16::try_from(value.len()).unwrap();
    let [high, low] = len.to_be_bytes();
    let mut der = match len {
        0..=0x7f => vec![tag, low],
        0x80..=0xff => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    der.extend_from_slice(value);
    der
}

pub fn key_usage(bits: u8) -> Ext {
    Ext(
        KEY_USAGE,
        true,
        tlv(3, &[bits.trailing_zeros().min(7) as u8, bits]),
    )
}

pub fn uri(text: &str) -> Vec<u8> {
    tlv(0x86, text.as_bytes())
}

pub fn dns(text: &str) -> Vec<u8> {
    tlv(0x82, text.as_bytes())
}

pub fn san(names: &[Vec<u8>]) -> Ext {
    Ext(SAN, true, tlv(0x30, &names.concat()))
}

pub fn ca(flag: Option<bool>) -> Ext {
    let value = flag.map_or(vec![], |flag| vec![1, 1, if flag { 0xff } else { 0 }]);
    Ext(BASIC_CONSTRAINTS, true, tlv(0x30, &value))
}

pub fn eku(purposes: &[&[u8]]) -> Ext {
    Ext(EKU, false, tlv(0x30, &purposes.concat()))
}

/// What a good leaf has.
pub fn leaf_exts() -> Vec<Ext> {
    vec![
        san(&[uri(ID)]),
        key_usage(DIGITAL_SIGNATURE),
        eku(&[SERVER_AUTH, CLIENT_AUTH]),
        ca(None),
    ]
}

/// What a good signing certificate has.
pub fn signing_exts() -> Vec<Ext> {
    vec![
        san(&[uri("spiffe://example.org")]),
        key_usage(KEY_CERT_SIGN),
        ca(Some(true)),
    ]
}

/// `exts` with the extension of the same OID replaced, or `new` added.
pub fn with(mut exts: Vec<Ext>, new: Ext) -> Vec<Ext> {
    exts.retain(|ext| ext.0 != new.0);
    exts.push(new);
    exts
}

pub fn without(mut exts: Vec<Ext>, oid: &[u64]) -> Vec<Ext> {
    exts.retain(|ext| ext.0 != oid);
    exts
}

/// A self-signed P-256 certificate with an empty subject and these extensions.
pub fn cert(exts: &[Ext]) -> Vec<u8> {
    build(exts, DistinguishedName::new())
}

/// As [`cert`], with a subject.
pub fn cert_with_subject(exts: &[Ext]) -> Vec<u8> {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "web");
    build(exts, name)
}

fn build(exts: &[Ext], name: DistinguishedName) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 12, 31);
    params.custom_extensions = exts
        .iter()
        .map(|Ext(oid, critical, value)| {
            let mut ext = CustomExtension::from_oid_content(oid, value.clone());
            ext.set_criticality(*critical);
            ext
        })
        .collect();
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

/// The elements of a certificate's to-be-signed part, in order: version, serial, algorithm, issuer,
/// validity, subject, key, extensions.
pub fn fields(cert: &[u8]) -> Vec<Vec<u8>> {
    let tbs = Reader::new(cert)
        .element()
        .unwrap()
        .reader()
        .element()
        .unwrap();
    let mut reader = tbs.reader();
    let mut fields = vec![];
    while !reader.is_empty() {
        fields.push(reader.element().unwrap().raw.to_vec());
    }
    fields
}

/// `cert` with other to-be-signed fields; the signature no longer fits, which nobody here checks.
pub fn refit(cert: &[u8], fields: &[Vec<u8>]) -> Vec<u8> {
    let mut parts = Reader::new(cert).element().unwrap().reader();
    parts.element().unwrap();
    let algorithm = parts.element().unwrap().raw;
    let signature = parts.element().unwrap().raw;
    tlv(
        0x30,
        &[&tlv(0x30, &fields.concat()), algorithm, signature].concat(),
    )
}

pub const VERSION: usize = 0;
pub const SERIAL: usize = 1;
pub const ALGORITHM: usize = 2;
pub const VALIDITY: usize = 4;
pub const EXTENSIONS: usize = 7;

/// A good leaf with one field replaced; an empty one is left out.
pub fn leaf_with_field(field: usize, der: Vec<u8>) -> Vec<u8> {
    let cert = cert(&leaf_exts());
    let mut fields = fields(&cert);
    fields[field] = der;
    refit(&cert, &fields)
}
