//! Two engines on one store, each of which believes to be the only one.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sumsq::domain::fetch::Trigger;
use sumsq::ingest::engine::{Engine, Wanted};
use sumsq::store::StoreError;
use tokio::sync::Semaphore;

use crate::late::Late;
use crate::world::{World, told};

const PATIENCE: Duration = Duration::from_secs(20);

async fn until_it_is_refused(engine: &Arc<Engine>, wanted: &Wanted) {
    let refused = async {
        while !matches!(
            engine.advance(wanted).await,
            Err(StoreError::Fenced { term: 1, newer: 2 })
        ) {
            tokio::task::yield_now().await;
        }
    };
    let refused = tokio::time::timeout(PATIENCE, refused);
    refused.await.expect("it is refused");
}

#[tokio::test]
async fn a_leader_that_is_followed_is_refused_and_its_fetch_is_taken_up() {
    let mut world = World::new("2026-01-01T10:00:00Z").await;
    world.engine.store().begin_term().await.unwrap();
    world.gate.shut();
    let begun = world.begin().await.stored.unfinished.unwrap();
    let before = world.follow(|store| Arc::new(store)).await;
    world.gate.shut();
    let resumed = world.begin().await.stored.unfinished.unwrap();
    assert_eq!(resumed.id, begun.id);
    // Both go on with their downloads.
    world.gate.open();
    until_it_is_refused(&before, &world.wanted).await;
    tokio::time::timeout(PATIENCE, before.loses_a_source())
        .await
        .expect("it knows");
    let standing = world.settle().await;
    assert_eq!(told(&standing), [(Trigger::Created, "Imported", 1)]);
    assert_eq!(standing.stored.history[0].id, begun.id);
}

/// What the one before does between the first look of the one that follows and its first write is
/// not done again.
#[tokio::test]
async fn nothing_is_begun_on_what_was_read_before_the_takeover() {
    let mut world = World::new("2026-01-01T10:00:00Z").await;
    world.engine.store().begin_term().await.unwrap();
    world.settle().await;
    let (may_write, comes) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(0)));
    let before = world
        .follow(|inner| {
            Arc::new(Late {
                inner,
                armed: Arc::new(AtomicBool::new(false)),
                readings: Semaphore::new(0),
                has_read: Arc::clone(&may_write),
                let_go: Arc::new(Semaphore::new(0)),
                comes: Arc::clone(&comes),
            })
        })
        .await;
    may_write.forget_permits(1);
    // Its term was begun.
    comes.forget_permits(1);
    world.wanted.requested = Some("once".to_owned());
    let (engine, wanted) = (Arc::clone(&world.engine), world.wanted.clone());
    let look = tokio::spawn(async move { engine.advance(&wanted).await });
    // It has read the log, and comes to write.
    let came = tokio::time::timeout(PATIENCE, comes.acquire());
    drop(came.await.expect("it comes"));
    let done = async {
        loop {
            let standing = before.advance(&world.wanted).await.unwrap();
            if standing.stored.handled_request.as_deref() == Some("once") {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, done)
        .await
        .expect("it is done");
    may_write.add_permits(1);
    look.await.unwrap().unwrap();
    let standing = world.settle().await;
    let expected = [
        (Trigger::Manual, "NotModified", 1),
        (Trigger::Created, "Imported", 1),
    ];
    assert_eq!(told(&standing), expected);
    // From its first act on the source is the later one's.
    world.wanted.requested = Some("again".to_owned());
    world.settle().await;
    world.wanted.requested = Some("and again".to_owned());
    until_it_is_refused(&before, &world.wanted).await;
}
