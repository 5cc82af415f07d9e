//! What keeps a control plane from starting, so that nothing is lost that could be kept.

use std::collections::BTreeSet;
use std::fs;

use super::*;
use crate::store::SqliteStore;

const DAY: i64 = 86_400;

fn options(dir: &Path) -> Options {
    Options::new(
        TrustDomainBuf::parse("example.org").expect("trust domain"),
        dir.to_owned(),
        vec![],
        dir.join("ca.sock"),
    )
}

/// A data directory in which a control plane has run just now.
fn set_up() -> (tempfile::TempDir, Options, i64) {
    let dir = tempfile::tempdir().expect("temp dir");
    let (options, now) = (options(dir.path()), clock::unix_secs());
    run(&options, now).expect("starts");
    (dir, options, now)
}

/// As far as files and time are concerned.
fn run(options: &Options, now: i64) -> Result<(), StartError> {
    let held = Held::open(options, now)?;
    let server = held.authority.issue_server(now)?;
    held.store.append_audit(&[server.audit()])?;
    Ok(())
}

/// Every key, and the bundle.
fn kept(dir: &tempfile::TempDir) -> BTreeSet<(String, Vec<u8>)> {
    let files = fs::read_dir(dir.path()).expect("list").flatten();
    let named = files.map(|file| (file.file_name().into_string().expect("name"), file.path()));
    let kept = named.filter(|(name, _)| name.ends_with(".key") || name.starts_with("bundle"));
    kept.map(|(name, path)| (name, fs::read(path).expect("read")))
        .collect()
}

#[test]
fn a_clock_that_is_far_ahead_destroys_no_key() {
    let (dir, options, now) = set_up();
    let before = kept(&dir);
    for ahead in [8 * DAY, 32 * DAY, 11 * 365 * DAY] {
        let refused = run(&options, now + ahead).expect_err("the clock is wrong");
        let text = refused.to_string();
        assert!(text.contains("--accept-clock"), "{text}");
        assert_eq!(kept(&dir), before);
    }
    run(&options, now).expect("at the right time it starts as before");
    assert_eq!(kept(&dir), before);
}

#[test]
fn a_clock_that_is_behind_is_asked_about() {
    let (dir, options, now) = set_up();
    for behind in [10 * 60, 365 * DAY] {
        let text = run(&options, now - behind)
            .expect_err("refused")
            .to_string();
        assert!(text.contains("--accept-clock"), "{text}");
        assert!(text.contains("Set the clock"), "{text}");
    }
    run(&options, now - 20).expect("clocks are set now and then");
    drop(dir);
}

#[test]
fn a_control_plane_that_was_off_for_long_starts_when_it_is_told_so() {
    let (dir, mut options, now) = set_up();
    let later = now + 20 * DAY;
    run(&options, later).expect_err("nobody says that the clock is right");
    options.accept_clock = true;
    run(&options, later).expect("starts");
    options.accept_clock = false;
    drop(dir);
}

#[test]
fn a_database_that_is_lost_is_no_new_trust_domain() {
    let (dir, options, now) = set_up();
    let (before, path) = (kept(&dir), dir.path().join(DATABASE_FILE));
    let refused = || {
        let text = run(&options, now).expect_err("the database is lost");
        let text = text.to_string();
        assert!(text.contains(path.to_str().expect("path")), "{text}");
        assert!(text.contains("back-up"), "{text}");
        assert_eq!(kept(&dir), before, "{text}");
    };
    let whole = fs::read(&path).expect("read");
    fs::write(&path, "").expect("empty it");
    refused();
    fs::remove_file(&path).expect("remove it");
    refused();
    assert!(!path.exists(), "nothing was put in its place");
    // One that somebody made anew, beside the bundle of the one before.
    drop(SqliteStore::open(&path).expect("another"));
    refused();
    fs::write(&path, whole).expect("the back-up");
    run(&options, now).expect("starts");
    assert_eq!(kept(&dir), before);
}

#[test]
fn keys_alone_are_what_a_first_start_leaves_that_was_ended() {
    let (dir, options, now) = set_up();
    for name in [DATABASE_FILE, "bundle.pem", "bundle.json"] {
        fs::remove_file(dir.path().join(name)).expect("remove");
    }
    let text = run(&options, now).expect_err("keys of a database that is lost");
    assert!(text.to_string().contains("authority-"), "{text}");
    drop(SqliteStore::open(&dir.path().join(DATABASE_FILE)).expect("made, and not set up"));
    run(&options, now).expect("starts anew");
}

#[test]
fn a_table_that_is_gone_is_named_with_the_file() {
    let (dir, options, now) = set_up();
    let path = dir.path().join(DATABASE_FILE);
    let database = rusqlite::Connection::open(&path).expect("open");
    database.execute_batch("DROP TABLE node").expect("drop");
    drop(database);
    let text = run(&options, now).expect_err("damaged").to_string();
    assert!(text.contains("table node"), "{text}");
    assert!(
        text.contains(path.to_str().expect("path")) && text.contains("back-up"),
        "{text}"
    );
}
