//! A look that is slow to read the log, while the fetch that it has begun is done already.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sumsq::domain::data_source::SourceId;
use sumsq::domain::fetch::Trigger;
use sumsq::store::StoreError;
use sumsq::store::relational::{EncodedDay, Relational, Row, Session, Tenure, Value};
use sumsq::store::sqlite::Sqlite;
use tokio::sync::Semaphore;

use crate::world::World;

/// Once armed, a look's second reading is held back with what it has read, and whoever wants to
/// write waits until it has read.
pub(crate) struct Late {
    pub(crate) inner: Sqlite,
    pub(crate) armed: Arc<AtomicBool>,
    pub(crate) readings: Semaphore,
    pub(crate) has_read: Arc<Semaphore>,
    pub(crate) let_go: Arc<Semaphore>,
    /// One for each who has come to write.
    pub(crate) comes: Arc<Semaphore>,
}

struct Reading {
    inner: Box<dyn Session>,
    has_read: Arc<Semaphore>,
    let_go: Arc<Semaphore>,
}

#[async_trait]
impl Relational for Late {
    async fn reading(&self) -> Result<Box<dyn Session>, StoreError> {
        self.inner.reading().await
    }

    async fn snapshot(&self) -> Result<Box<dyn Session>, StoreError> {
        let inner = self.inner.snapshot().await?;
        if !self.armed.load(Ordering::SeqCst) {
            return Ok(inner);
        }
        if let Ok(first) = self.readings.try_acquire() {
            first.forget();
            return Ok(inner);
        }
        self.armed.store(false, Ordering::SeqCst);
        let (has_read, let_go) = (Arc::clone(&self.has_read), Arc::clone(&self.let_go));
        Ok(Box::new(Reading {
            inner,
            has_read,
            let_go,
        }))
    }

    async fn writing(&self, source: Option<SourceId>) -> Result<Box<dyn Session>, StoreError> {
        self.comes.add_permits(1);
        drop(self.has_read.acquire().await);
        self.inner.writing(source).await
    }

    fn tenure(&self) -> &Tenure {
        self.inner.tenure()
    }

    async fn close(&self) {
        Relational::close(&self.inner).await;
    }
}

#[async_trait]
impl Session for Reading {
    async fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        self.inner.execute(sql, values).await
    }

    async fn rows(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        self.inner.rows(sql, values).await
    }

    fn batch(&self) -> usize {
        self.inner.batch()
    }

    async fn put_days(&mut self, id: SourceId, days: Vec<EncodedDay>) -> Result<u64, StoreError> {
        self.inner.put_days(id, days).await
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.has_read.add_permits(1);
        drop(self.let_go.acquire().await);
        self.inner.commit().await
    }
}

#[tokio::test]
async fn a_fetch_that_ends_while_its_log_is_read_is_not_begun_again() {
    let armed = Arc::new(AtomicBool::new(false));
    let has_read = Arc::new(Semaphore::new(1));
    let let_go = Arc::new(Semaphore::new(0));
    let mut world = World::on("2026-01-01T10:00:00Z", |inner| {
        Arc::new(Late {
            inner,
            armed: Arc::clone(&armed),
            readings: Semaphore::new(1),
            has_read: Arc::clone(&has_read),
            let_go: Arc::clone(&let_go),
            comes: Arc::new(Semaphore::new(0)),
        })
    })
    .await;
    world.settle().await;
    world.wanted.requested = Some("once".to_owned());
    world.forget_news();
    has_read.forget_permits(1);
    armed.store(true, Ordering::SeqCst);
    let source = Arc::clone(&world.wanted.source);
    let (engine, wanted) = (Arc::clone(&world.engine), world.wanted.clone());
    let look = tokio::spawn(async move { engine.advance(&wanted).await });
    let store = Arc::clone(world.engine.store());
    let until_fetched = async {
        loop {
            let fetches = store.fetches(source.id, 10, None).await.unwrap();
            if fetches.len() == 2 && fetches[0].completed_at.is_some() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let patience = Duration::from_secs(20);
    tokio::time::timeout(patience, until_fetched)
        .await
        .expect("the fetch ends");
    world.has_news(1).await;
    let_go.add_permits(1);
    look.await.unwrap().unwrap();
    world.settle().await;
    let fetches = store.fetches(source.id, 10, None).await.unwrap();
    let manual = fetches
        .iter()
        .filter(|fetch| fetch.trigger == Trigger::Manual);
    assert_eq!(manual.count(), 1);
}
