//! Who may write: one process at a time for each source, whatever a frozen one believes.
//!
//! A process that has come to lead begins a term: a number greater than any before, from a counter
//! in the store. It then confirms that it still leads; so of two leaders the later one has the
//! greater term. Every transaction on a source first compares, with the source's row locked, the
//! term in which the source was last written: a greater one refuses it, a smaller one is replaced.
//! From then on nothing that began in an earlier term can be committed. No clock is involved.
//!
//! The counter belongs to no source. It is changed once for each leadership, in a transaction of its
//! own. Agent resources are fenced by their namespace in the same way.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::super::StoreError;
use super::rows::decode;
use super::{Relational, Session, row};
use crate::domain::data_source::SourceId;

/// The term in which a process writes. Without one it is not fenced: the only writer there is, or
/// `sumsq store`.
#[derive(Debug, Clone, Default)]
pub struct Tenure(Arc<AtomicI64>);

impl Tenure {
    fn term(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Acquire)).filter(|term| *term > 0)
    }
}

/// From now on this process writes in a term of its own, greater than any that was begun before.
pub(super) async fn begin_term<R: Relational + ?Sized>(store: &R) -> Result<i64, StoreError> {
    let mut writing = store.writing(None).await?;
    writing
        .execute("UPDATE newest_term SET term = term + 1", &[])
        .await?;
    let found = row(writing.as_mut(), "SELECT term FROM newest_term", &[]).await?;
    let term: i64 = found
        .ok_or_else(|| decode("term", "there is no counter"))?
        .get("term")?;
    writing.commit().await?;
    store.tenure().0.store(term, Ordering::Release);
    Ok(term)
}

/// A transaction on a source that is this process's to write.
pub(super) async fn writing<R: Relational + ?Sized>(
    store: &R,
    source: SourceId,
) -> Result<Box<dyn Session>, StoreError> {
    let mut writing = store.writing(Some(source)).await?;
    hold(store, writing.as_mut(), source).await?;
    Ok(writing)
}

/// A transaction on the Agent resources of a namespace.
pub(super) async fn writing_agents<R: Relational + ?Sized>(
    store: &R,
    namespace: &str,
) -> Result<Box<dyn Session>, StoreError> {
    let mut writing = store.writing(None).await?;
    if let Some(term) = store.tenure().term() {
        // Also where nothing changes, the row is locked by this.
        writing
            .execute(
                "INSERT INTO agent_term (namespace, term) VALUES ($1, $2) \
                 ON CONFLICT (namespace) DO UPDATE SET term = excluded.term \
                 WHERE agent_term.term < excluded.term",
                &[namespace.into(), term.into()],
            )
            .await?;
        let held = row(
            writing.as_mut(),
            "SELECT term FROM agent_term WHERE namespace = $1",
            &[namespace.into()],
        )
        .await?;
        refuse_newer(held.map(|row| row.get("term")).transpose()?, term)?;
    }
    Ok(writing)
}

/// Whether this process is fenced at all.
pub(super) async fn take<R: Relational + ?Sized>(
    store: &R,
    source: SourceId,
) -> Result<bool, StoreError> {
    if store.tenure().term().is_none() {
        return Ok(false);
    }
    writing(store, source).await?.commit().await?;
    Ok(true)
}

/// Within a transaction that holds the source's row.
pub(super) async fn hold<R: Relational + ?Sized>(
    store: &R,
    writing: &mut dyn Session,
    source: SourceId,
) -> Result<(), StoreError> {
    let Some(term) = store.tenure().term() else {
        return Ok(());
    };
    let found = row(
        writing,
        "SELECT term FROM data_source WHERE id = $1",
        &[source.into()],
    )
    .await?;
    let held: Option<i64> = found.map(|row| row.get("term")).transpose()?;
    refuse_newer(held, term)?;
    if held.is_some_and(|held| held < term) {
        writing
            .execute(
                "UPDATE data_source SET term = $2 WHERE id = $1",
                &[source.into(), term.into()],
            )
            .await?;
    }
    Ok(())
}

fn refuse_newer(held: Option<i64>, term: i64) -> Result<(), StoreError> {
    match held {
        Some(newer) if newer > term => Err(StoreError::Fenced { term, newer }),
        _ => Ok(()),
    }
}
