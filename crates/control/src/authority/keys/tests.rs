use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

const FILE: &str = "authority-1.key";
const WORDS: &str = "correct horse battery";

struct Place {
    temp: tempfile::TempDir,
    dir: Arc<DataDir>,
}

impl Place {
    fn new() -> Self {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = Arc::new(DataDir::open(&temp.path().join("ca")).expect("open"));
        Self { temp, dir }
    }

    fn own(&self) -> KeyFiles {
        KeyFiles::open(Arc::clone(&self.dir), &Passphrase::Own).expect("keys")
    }

    /// A file beside the data directory.
    fn passphrase(&self, text: &str, mode: u32) -> PathBuf {
        let path = self.temp.path().join("words");
        fs::write(&path, text).expect("write");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
        path
    }

    fn with(&self, text: &str) -> Result<KeyFiles, KeyError> {
        let path = self.passphrase(text, 0o600);
        KeyFiles::open(Arc::clone(&self.dir), &Passphrase::File(path))
    }

    fn text(&self) -> String {
        self.dir.read_secret(FILE).expect("read").to_string()
    }
}

fn refusal<T>(result: Result<T, KeyError>) -> String {
    match result {
        Ok(_) => panic!("not refused"),
        Err(error) => error.to_string(),
    }
}

fn same(read: &Read, key: &KeyPair) {
    assert_eq!(read.key.serialize_der(), key.serialize_der());
}

#[test]
fn a_key_is_encrypted_without_anybody_asking() {
    let place = Place::new();
    let key = place.own().generate(FILE).expect("generate");
    assert!(sealed::is_sealed(&place.text()));
    let own = place.dir.file(PASSPHRASE_FILE);
    let mode = fs::metadata(&own).expect("metadata").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let read = place.own().read(FILE).expect("read");
    same(&read, &key);
    assert!(!read.stale);
    fs::remove_file(own).expect("remove");
    let lost = refusal(place.own().read(FILE));
    assert!(lost.contains("`--passphrase-file`"), "{lost}");
}

#[test]
fn a_passphrase_that_is_given_is_the_only_one_that_opens() {
    let place = Place::new();
    let keys = place.with(&format!("{WORDS}\nnot this\n")).expect("keys");
    let key = keys.generate(FILE).expect("generate");
    assert!(!place.dir.has(PASSPHRASE_FILE));
    same(
        &place.with(WORDS).expect("keys").read(FILE).expect("read"),
        &key,
    );
    let other = refusal(
        place
            .with("another horse battery")
            .expect("keys")
            .read(FILE),
    );
    assert!(
        other.ends_with("does not open with this passphrase"),
        "{other}"
    );
    assert!(matches!(
        place.own().read(FILE),
        Err(KeyError::NoPassphrase { .. })
    ));
}

#[test]
fn a_plain_key_from_before_is_told_and_written_anew() {
    let place = Place::new();
    let key = KeyPair::generate().expect("key");
    place
        .dir
        .write_secret(FILE, &key.serialize_pem())
        .expect("write");
    let keys = place.own();
    let read = keys.read(FILE).expect("read");
    same(&read, &key);
    assert!(read.stale);
    keys.write_der(FILE, &read.key.serialize_der())
        .expect("write");
    assert!(sealed::is_sealed(&place.text()));
    assert!(!place.own().read(FILE).expect("read").stale);
}

#[test]
fn a_passphrase_takes_the_place_of_our_own_secret() {
    let place = Place::new();
    let key = place.own().generate(FILE).expect("generate");
    let keys = place.with(WORDS).expect("keys");
    let read = keys.read(FILE).expect("opens with what was before");
    same(&read, &key);
    assert!(read.stale);
    keys.write_der(FILE, &read.key.serialize_der())
        .expect("write");
    keys.forget_own().expect("forget");
    assert!(!place.dir.has(PASSPHRASE_FILE));
    assert!(
        !place
            .with(WORDS)
            .expect("keys")
            .read(FILE)
            .expect("read")
            .stale
    );
}

#[test]
fn a_passphrase_that_others_can_read_or_guess_is_refused_by_name() {
    let place = Place::new();
    let open = |passphrase| KeyFiles::open(Arc::clone(&place.dir), &passphrase);
    let shared = place.passphrase(WORDS, 0o640);
    let exposed = refusal(open(Passphrase::File(shared.clone())));
    assert!(exposed.contains("(mode 0640)"), "{exposed}");
    assert!(
        open(Passphrase::Credential(shared)).is_ok(),
        "systemd's way"
    );
    let world = place.passphrase(WORDS, 0o644);
    assert!(open(Passphrase::Credential(world)).is_err());
    for text in ["", "short\n", "\ncorrect horse battery"] {
        let refused = refusal(place.with(text));
        assert!(refused.contains("words` holds no passphrase"), "{refused}");
    }
    let missing = Passphrase::File(place.temp.path().join("missing"));
    assert!(refusal(open(missing)).contains("cannot read `"));
}
