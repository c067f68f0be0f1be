//! What `sumsq store copy --to` finds there: an operator at work, and half of a replacement.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use sumsq::store::Store;
use sumsq::store::relational::{copy_source, digest};
use sumsq::store::sqlite::WriterLock;

use crate::story::import;
use crate::upkeep::{Addresses, fails, fill, relational, succeeds};
use crate::{open, source};

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_was_killed_in_the_midst_goes_on_by_the_same_command() {
    let addresses = Addresses::new().await;
    let (from, to) = (&addresses.sqlite, &addresses.postgres);
    let full = source("full");
    let days = (0..3000).map(|number| ("a", number, 3)).collect();
    import(open(from).await.as_ref(), &full, days).await;
    import(open(to).await.as_ref(), &full, vec![("a", 7, 100)]).await;
    let (old, new) = (relational(from).await, relational(to).await);
    // Both are read once for their digests; then the new store's is removed, and days are sent.
    let (mut looked_at, sent) = (AtomicU64::new(0), tokio::sync::Notify::new());
    let progress = |days: u64| {
        if looked_at.fetch_add(days, Ordering::Relaxed) >= 3000 {
            sent.notify_one();
        }
    };
    tokio::select! {
        biased;
        () = sent.notified() => {}
        done = copy_source(old.as_ref(), new.as_ref(), full.id, true, &progress) => {
            panic!("it was not cut off: {done:?}")
        }
    }
    assert!(*looked_at.get_mut() < 6000, "all had been sent");
    let left = new.sources().await.unwrap();
    assert!(!left[0].present, "a half is shown in no report");
    assert!(new.size(full.id).await.unwrap().agent_days < 3000);
    succeeds(&["copy", "--from", from, "--to", to]);
    let whole = digest(old.as_ref(), full.id, &|_| {}).await.unwrap();
    let arrived = digest(new.as_ref(), full.id, &|_| {}).await.unwrap();
    assert_eq!(arrived, whole);
    assert!(new.sources().await.unwrap()[0].present);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_an_operator_has_open_is_copied_from_and_not_into() {
    let addresses = Addresses::new().await;
    let (live, other) = (&addresses.sqlite, &addresses.another_sqlite());
    let store = open(live).await;
    let [full, gone, _] = fill(store.as_ref()).await;
    let path = |address: &str| PathBuf::from(address.strip_prefix("sqlite:").unwrap());
    let lock = WriterLock::take(&path(live)).unwrap();
    let empty = WriterLock::take(&path(other)).unwrap();
    let from = &addresses.postgres;
    succeeds(&["copy", "--from", live, "--to", from]);
    for to in [live, other] {
        let told = fails(&["copy", "--from", from, "--to", to, "--replace"]);
        assert!(
            told.contains("--to: an operator, or another copy, has the store at"),
            "{told}"
        );
        assert!(told.contains("stop it first"), "{told}");
    }
    assert!(!path(other).exists(), "a store that is refused is not made");
    assert_eq!(store.sources().await.unwrap().len(), 3);
    drop(empty);
    succeeds(&["copy", "--from", live, "--to", other]);
    // These are for beside an operator.
    let adopt = [
        "adopt",
        "growth/gone",
        "--by",
        "growth/full",
        "--on-conflict",
        "keep",
    ];
    succeeds(&[&adopt[..], &["--store", live]].concat());
    let left = store.sources().await.unwrap();
    assert!(left.iter().any(|source| source.id == full.id));
    assert!(!left.iter().any(|source| source.id == gone.id));
    drop(lock);
    succeeds(&["copy", "--from", other, "--to", live]);
}
