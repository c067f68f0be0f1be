//! Whether a source is gone is looked at where its data are moved or removed, and not before.

use sumsq::domain::agent_day::Day;
use sumsq::store::postgres::Postgres;
use sumsq::store::relational::{Adopted, OnConflict, Relational, adopt, purge};
use sumsq::store::sqlite::Sqlite;
use sumsq::store::{SourceRef, Store};

use crate::source;
use crate::story::import;
use crate::support::postgres::Postgres as Server;

const BACK: &str = "UPDATE data_source SET present = TRUE WHERE id = $1";

async fn days(store: &impl Relational, of: &SourceRef) -> usize {
    let days = store.agent_days(of.id, "a", Day::MIN, Day::MAX).await;
    days.unwrap().len()
}

async fn comes_back<S: Relational>(store: &S) {
    let (old, heir) = (source("old"), source("heir"));
    import(store, &old, vec![("a", 1, 1), ("a", 2, 2)]).await;
    import(store, &heir, vec![("a", 5, 50)]).await;

    // Neither is gone.
    assert!(!purge(store, old.id).await.unwrap());
    let adopted = adopt(store, old.id, heir.id, OnConflict::Refuse, &|_| {}).await;
    assert_eq!(adopted.unwrap(), Adopted::NotGone);
    assert_eq!((days(store, &old).await, days(store, &heir).await), (2, 1));

    // It comes back while its removal waits for its turn.
    store.retire(old.id).await.unwrap();
    let mut writing = store.writing(Some(old.id)).await.unwrap();
    writing.execute(BACK, &[old.id.into()]).await.unwrap();
    let (purged, committed) = tokio::join!(purge(store, old.id), writing.commit());
    committed.unwrap();
    assert!(!purged.unwrap());
    assert_eq!(days(store, &old).await, 2);

    // Both are gone: there is no heir.
    store.retire(old.id).await.unwrap();
    store.retire(heir.id).await.unwrap();
    let adopted = adopt(store, old.id, heir.id, OnConflict::Refuse, &|_| {}).await;
    assert_eq!(adopted.unwrap(), Adopted::NotGone);
    assert_eq!((days(store, &old).await, days(store, &heir).await), (2, 1));

    // Gone for good.
    assert!(purge(store, old.id).await.unwrap());
    assert_eq!((days(store, &old).await, days(store, &heir).await), (0, 1));
}

#[tokio::test]
async fn what_comes_back_keeps_its_data_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sumsq.db");
    comes_back(&Sqlite::open(&path).await.unwrap()).await;
}

#[tokio::test]
async fn what_comes_back_keeps_its_data_on_postgres() {
    let server = Server::shared().await;
    let address = server.url(&server.database());
    comes_back(&Postgres::open(&address).await.unwrap()).await;
}
