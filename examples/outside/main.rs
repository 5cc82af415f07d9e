//! A program of somebody else, who has the crates as they are published: something of each.

use tidelock_ca::{Authority, Csr, Entry, Serial, Ttl, request};
use tidelock_datapath::TrustStore;
use tidelock_spiffe_core::{SpiffeIdBuf, TrustDomainBuf, x509::Leaf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (now, serial) = (1_770_000_000, Serial::from_random([7; 16]));
    let domain = TrustDomainBuf::parse("example.org")?;
    let key = rcgen::KeyPair::generate()?;
    let authority = Authority::self_signed(key, &domain, now, now + 86_400, serial)?;
    let entry = Entry::workload(
        SpiffeIdBuf::parse("spiffe://example.org/web")?,
        Ttl::from_secs(3_600)?,
    )?;
    let csr = request(&rcgen::KeyPair::generate()?)?;
    let svid = authority.issue(&entry, &Csr::parse(&csr)?, now, serial)?;
    println!("{}", Leaf::parse(&svid.chain[0])?.id);

    TrustStore::new().add(authority.trust_domain(), authority.certificate())?;
    tidelock_attest::Selectors::parse(["unix:path:/usr/bin/curl", "unix:uid:1000"])?;
    assert!(tidelock_policy::Image::check(&[]).is_err());
    println!("version {} of the contract", tidelock_kabi::ABI_VERSION);
    Ok(())
}
