//! The authorities that this node's own system trusts, for Services of servers outside that name none of their own.

use rustls_native_certs::load_native_certs;
use rustls_pki_types::CertificateDer;
use tidelock_kabi::bounds::{MAX_CERT_BYTES, MAX_ROOTS};
use webpki::anchor_from_trusted_cert;

use crate::core::Desired;

/// Most that they take together: what the control plane keeps free for them in a node's configuration.
const MAX_BYTES: usize = 256 * 1024;

/// Gives `desired` the system's authorities, if it wants them. They are read each time, so that those of an updated system count
/// from the next change on, and from a restart of the agent.
pub(super) async fn with_system_roots(desired: Desired) -> Desired {
    if !desired.wants_system_roots() {
        return desired;
    }
    let read = tokio::task::spawn_blocking(load_native_certs).await;
    let roots = match read {
        Ok(read) => {
            for error in &read.errors {
                tracing::warn!("authorities of this system cannot be read: {error}");
            }
            usable(&read.certs)
        }
        Err(error) => {
            tracing::error!("authorities of this system cannot be read: {error}");
            Vec::new()
        }
    };
    if roots.is_empty() {
        tracing::error!(
            "this system trusts no authority, so that no server outside is believed for which a Service names none: install \
             `ca-certificates`, set SSL_CERT_FILE for the agent, or write `tls.roots`"
        );
    }
    desired.with_system_roots(roots)
}

/// Those that the kernel takes, sorted, each once. It would refuse a configuration for one that it does not take.
fn usable(certs: &[CertificateDer<'_>]) -> Vec<Vec<u8>> {
    let takes = |der: &&CertificateDer<'_>| {
        der.len() <= MAX_CERT_BYTES && anchor_from_trusted_cert(der).is_ok()
    };
    let mut roots: Vec<Vec<u8>> = certs.iter().filter(takes).map(|der| der.to_vec()).collect();
    roots.sort();
    roots.dedup();
    let left_out = certs.len() - certs.iter().filter(takes).count();
    if left_out > 0 {
        tracing::warn!(
            "{left_out} authorities of this system are left out: they are no CA certificates that can be used"
        );
    }
    let bytes: usize = roots.iter().map(Vec::len).sum();
    if roots.len() > MAX_ROOTS || bytes > MAX_BYTES {
        tracing::error!(
            "this system trusts {} authorities of {bytes} bytes, of which at most {MAX_ROOTS} and {MAX_BYTES} can be used: none is",
            roots.len()
        );
        roots.clear();
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(name: &str) -> CertificateDer<'static> {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("signed").der().clone()
    }

    #[test]
    fn each_authority_is_given_once_and_nothing_else() {
        let (a, b) = (authority("a"), authority("b"));
        let noise = CertificateDer::from(vec![0x30; 9]);
        let long = CertificateDer::from(vec![0; MAX_CERT_BYTES + 1]);
        let mut expected = vec![a.to_vec(), b.to_vec()];
        expected.sort();
        assert_eq!(usable(&[b.clone(), a.clone(), noise, long, b, a]), expected);
    }

    #[test]
    fn more_than_the_kernel_takes_are_none() {
        let most: Vec<_> = (0..MAX_ROOTS).map(|n| authority(&n.to_string())).collect();
        assert_eq!(usable(&most).len(), MAX_ROOTS);
        let more = [most, vec![authority("more")]].concat();
        assert!(usable(&more).is_empty());
        let long: Vec<_> = (0..40_u8)
            .map(|n| authority(&"x".repeat(7000 + usize::from(n))))
            .collect();
        assert!(usable(&long).is_empty(), "too many bytes");
    }
}
