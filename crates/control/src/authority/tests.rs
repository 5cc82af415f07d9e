//! Authorities of both kinds on a clock that is given.

use tempfile::TempDir;
use tidelock_ca::State;
use tidelock_spiffe_core::bundle::BundleSet;
use tidelock_spiffe_core::jwt::{Audience, JwtSvid, P256};

use super::*;
use crate::store::SqliteStore;

const NOW: i64 = 1_800_000_000;

const DAY: i64 = 86_400;

struct Plane {
    _dir: TempDir,
    store: SqliteStore,
    authority: Authority,
    generation: u64,
}

impl Plane {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let data = Arc::new(DataDir::open(&dir.path().join("ca")).expect("open"));
        let store = SqliteStore::open(&data.file("s.db")).expect("open");
        let ours = TrustDomainBuf::parse("example.org").expect("trust domain");
        let timings = Timings {
            x509: AuthorityTiming::default(),
            jwt: AuthorityTiming::jwt(),
        };
        let keeping = (&Passphrase::Own, timings);
        let authority = Authority::open(&data, keeping, &store, &ours, NOW).expect("set up");
        Self {
            _dir: dir,
            store,
            authority,
            generation: 0,
        }
    }

    /// Does what is due, as the control plane does; says what moved.
    fn pass_time(&mut self, now: i64) -> Vec<(Kind, Option<State>)> {
        let mut draft = Draft::new(
            &self.authority,
            now,
            self.generation,
            AuthorityLives::default(),
        );
        draft.pass_time().expect("in time");
        let moved = draft.moved();
        let (stored, audit) = (draft.stored(), draft.audit(&Actor::Control));
        let put = self
            .store
            .put_authorities(self.generation, Some(b"f"), &stored, &audit);
        self.generation = put.expect("stored");
        draft.put_in_force();
        moved.into_iter().map(|one| (one.kind, one.state)).collect()
    }

    fn states(&self, kind: Kind) -> Vec<State> {
        let ring = self.authority.ring();
        let slots = ring.engine(kind).slots().iter();
        slots.map(|slot| slot.state).collect()
    }
}

#[test]
fn keys_of_jwt_svids_are_replaced_each_month_and_certificates_go_by_their_own_years() {
    use State::{Active, Prepared, Retired};
    let mut plane = Plane::new();
    assert_eq!(plane.states(Kind::Jwt), [Active]);
    let sequence = plane.authority.ring().sequence();
    let prepared = NOW + 28 * DAY;
    assert_eq!(plane.authority.next_change(), Some(prepared));
    assert_eq!(plane.pass_time(prepared - 1), []);
    let moved = plane.pass_time(prepared);
    assert_eq!(moved, [(Kind::Jwt, Some(Prepared))]);
    assert_eq!(plane.pass_time(prepared), [], "once");
    assert_eq!(plane.authority.ring().sequence(), sequence + 1);

    // It takes over before tokens would be cut short.
    let taken_over = NOW + 30 * DAY - 3_600;
    assert_eq!(plane.authority.next_change(), Some(taken_over));
    plane.pass_time(taken_over);
    assert_eq!(plane.states(Kind::Jwt), [Retired, Active]);
    let forgotten = taken_over + 3_600;
    assert_eq!(plane.authority.next_change(), Some(forgotten));
    assert_eq!(plane.pass_time(forgotten), [(Kind::Jwt, None)]);
    assert_eq!(plane.authority.ring().sequence(), sequence + 2);
    assert_eq!(plane.states(Kind::X509), [Active]);
    assert_eq!(
        plane
            .authority
            .bundle(&plane.authority.ring())
            .jwt_authorities
            .len(),
        1
    );
}

#[test]
fn after_a_long_time_off_there_is_one_of_each_kind_that_signs_at_once() {
    let mut plane = Plane::new();
    let later = NOW + 20 * 365 * DAY;
    let moved = plane.pass_time(later);
    for kind in Kind::ALL {
        assert!(moved.contains(&(kind, Some(State::Active))), "{moved:?}");
        assert!(moved.contains(&(kind, None)), "{moved:?}");
        assert_eq!(plane.states(kind), [State::Active]);
        assert!(plane.authority.not_after(kind) > later);
    }
}

/// Whether a token is taken by who reads what is published now.
fn taken(plane: &Plane, token: &str, now: i64) -> bool {
    let bundle = plane.authority.ring();
    let bundle = bundle.published(&plane.authority.trust_domain);
    let bundles = BundleSet::from(bundle.expect("a bundle"));
    let audience = Audience::of(&["reports"]);
    JwtSvid::validate(token, &bundles, audience, now, &P256).is_ok()
}

#[test]
fn over_rotations_a_token_is_taken_for_as_long_as_it_says_and_no_longer() {
    let mut plane = Plane::new();
    let id = SpiffeIdBuf::parse("spiffe://example.org/web").expect("SPIFFE ID");
    let (mut live, mut keys) = (Vec::new(), Vec::new());
    // Four keys: each is prepared, takes over and is forgotten.
    while keys.len() < 4 {
        let due = plane
            .authority
            .next_change()
            .expect("there is more to come");
        for now in [due - 3_599, due - 1, due] {
            plane.pass_time(now);
            let issued = plane
                .authority
                .issue_jwt(id.clone(), &["reports"], u32::MAX, now)
                .expect("one always signs");
            assert_eq!(issued.svid.expires_at, now + 3_600, "never cut short");
            live.push(issued.svid);
            if keys.last() != Some(&issued.key_id) {
                keys.push(issued.key_id);
            }
            for svid in &live {
                let valid = now < svid.expires_at;
                assert_eq!(taken(&plane, &svid.token, now), valid, "{svid:?} at {now}");
            }
            live.retain(|svid| now < svid.expires_at);
        }
    }
    let files = std::fs::read_dir(plane.authority.dir.file("")).expect("list");
    let names = files.map(|file| file.expect("file").file_name());
    let jwt = names.filter(|name| name.to_string_lossy().starts_with("jwt-authority-"));
    assert!(jwt.count() <= 3, "keys that are over are destroyed");
}
