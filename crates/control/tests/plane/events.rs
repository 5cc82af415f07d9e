//! What a reader of events asks for, and gets.

use tidelock_proto::v1;

use crate::common::{Plane, permit, policy};

async fn numbers(plane: &Plane, after_seq: u64, tail: u32) -> Vec<u64> {
    let request = v1::EventsRequest {
        follow: false,
        after_seq,
        tail,
    };
    let events = plane.events_asked(request).await;
    events.iter().map(|event| event.seq).collect()
}

#[tokio::test]
async fn a_tail_is_the_newest_of_what_is_asked_for() {
    let plane = Plane::start().await;
    for name in ["a", "b", "c"] {
        plane.applied(&policy(name, &permit("curl", name))).await;
    }
    let all = numbers(&plane, 0, 0).await;
    let newest = *all.last().expect("applying is an event");
    assert!(all.len() >= 3, "{all:?}");
    assert_eq!(numbers(&plane, 0, 1).await, [newest]);
    assert_eq!(numbers(&plane, 0, 2).await, all[all.len() - 2..]);
    assert_eq!(numbers(&plane, 0, u32::MAX).await, all);
    assert_eq!(numbers(&plane, newest - 1, 2).await, [newest]);
    assert!(numbers(&plane, newest, 2).await.is_empty());
}
