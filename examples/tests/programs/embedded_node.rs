//! A control plane and an agent in this process, and what this process is to them.

use tidelock_examples::embedded_node::{ID, run, selectors_of_this_process};

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_fits_has_its_identity_and_an_svid_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let selectors = selectors_of_this_process().unwrap();
    let granted = run(folder.path(), &selectors).await.unwrap();
    assert_eq!(granted.as_deref(), Some(ID));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_does_not_fit_is_refused_one() {
    let folder = tempfile::tempdir().unwrap();
    let selectors = ["unix:path:/nonexistent".to_owned(), "unix:uid:0".to_owned()];
    assert_eq!(run(folder.path(), &selectors).await.unwrap(), None);
}
