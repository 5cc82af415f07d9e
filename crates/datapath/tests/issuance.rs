//! The life of an identity across crates: key and request here, SVID by the production CA, a
//! handshake with it here.

use tidelock_ca::{Authority, Csr, Entry, Serial, Ttl};
use tidelock_datapath::{Identity, TrustStore};
use tidelock_spiffe_core::{SpiffeIdBuf, TrustDomainBuf};
use tidelock_testkit::{PairBuilder, SeededEntropy, VirtualClock, identity_without_svid};

const CLIENT: &str = "spiffe://example.org/ns/curl";
const SERVER: &str = "spiffe://example.org/ns/web";

fn serial() -> Serial {
    let mut bytes = Vec::new();
    while bytes.len() < 20 {
        bytes.extend(SeededEntropy::next().to_le_bytes());
    }
    Serial::from_random(*bytes.first_chunk().expect("enough bytes"))
}

fn authority() -> Authority<rcgen::KeyPair> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
    let domain = TrustDomainBuf::parse("example.org").expect("a domain");
    let start = VirtualClock::START;
    Authority::self_signed(key, &domain, start, start + 86_400, serial()).expect("an authority")
}

/// Has the identity's own request signed and installs what comes back.
fn certify(authority: &Authority<rcgen::KeyPair>, identity: &mut Identity) {
    let request = identity.csr().expect("a request");
    let csr = Csr::parse(&request).expect("the CA reads our requests");
    let id = SpiffeIdBuf::parse(identity.spiffe_id().as_str()).expect("an ID");
    let entry = Entry::workload(id, Ttl::from_secs(3600).expect("an hour")).expect("an entry");
    let svid = authority
        .issue(&entry, &csr, VirtualClock::START, serial())
        .expect("an SVID");
    identity
        .install(svid.chain.iter().map(Vec::as_slice))
        .expect("it belongs to the key");
    let installed = identity.svid().expect("installed");
    assert_eq!(
        (installed.not_before(), installed.not_after()),
        (svid.not_before, svid.not_after)
    );
    assert_eq!(installed.serial(), svid.serial.as_bytes());
}

#[test]
fn what_the_ca_issues_connects() {
    let authority = authority();
    let [client, server] = [CLIENT, SERVER].map(|id| {
        let mut identity = identity_without_svid(id);
        certify(&authority, &mut identity);
        identity
    });
    let mut trust = TrustStore::new();
    trust
        .add(authority.trust_domain(), authority.certificate())
        .expect("an authority");
    let mut pair = PairBuilder::new(client, server, trust).start();
    pair.run();
    let (client, server) = pair.verdicts();
    assert_eq!(
        client
            .established()
            .peer
            .as_ref()
            .expect("proved")
            .id()
            .as_str(),
        SERVER
    );
    assert_eq!(
        server
            .established()
            .peer
            .as_ref()
            .expect("proved")
            .id()
            .as_str(),
        CLIENT
    );
}

#[test]
fn a_renewed_svid_replaces_the_old_one() {
    let authority = authority();
    let mut identity = identity_without_svid(CLIENT);
    certify(&authority, &mut identity);
    let first = identity.svid().expect("installed").serial().to_vec();
    certify(&authority, &mut identity);
    assert_ne!(identity.svid().expect("installed").serial(), first);
}
