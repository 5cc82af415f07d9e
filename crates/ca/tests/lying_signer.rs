//! A key that does not do what it says never gets anything released.

mod common;

use common::liar::{LIES, Liar, Lie, NoAnswer};
use common::*;
use tidelock_ca::{Authority, AuthorityError, Csr, IssueError, RereadError, SignError};

#[test]
fn no_root_is_released() {
    for lie in LIES {
        let made =
            Authority::self_signed(Liar::new(lie), &example_org(), NOW, NOW + DAY, serial(1));
        let refused = matches!(
            made,
            Err(AuthorityError::Reread(RereadError::SelfSignature))
        );
        assert!(refused, "{lie:?}");
    }
}

#[test]
fn no_leaf_is_released() {
    let liar = Liar::new(Lie::None);
    let root = Authority::self_signed(&liar, &example_org(), NOW, NOW + DAY, serial(1)).unwrap();
    let request = csr(&key());
    let csr = Csr::parse(&request).unwrap();
    assert!(
        root.issue(&web(), &csr, NOW, serial(2)).is_ok(),
        "an honest key's is"
    );
    for lie in LIES {
        liar.lie.set(lie);
        let refused = root.issue(&web(), &csr, NOW, serial(3));
        assert!(
            matches!(refused, Err(IssueError::Reread(RereadError::Path(_)))),
            "{lie:?}"
        );
    }
    liar.lie.set(Lie::Silence);
    let refused = root.issue(&web(), &csr, NOW, serial(3));
    assert!(matches!(
        refused,
        Err(IssueError::Sign(SignError::Signer(NoAnswer)))
    ));
}

#[test]
fn a_silent_key_is_named_as_the_cause() {
    let made = Authority::self_signed(
        Liar::new(Lie::Silence),
        &example_org(),
        NOW,
        NOW + DAY,
        serial(1),
    );
    assert!(matches!(
        made,
        Err(AuthorityError::Sign(SignError::Signer(NoAnswer)))
    ));
}
