//! A source as it stands, from one store to another, and the digest that shows it has arrived.

use std::fmt;

use super::super::StoreError;
use super::tables::{DATA_SOURCE, Pages, TABLES, put_in_batches};
use super::{Relational, Session, Store, Value, block_of, row, sources};
use crate::domain::data_source::SourceId;

/// BLAKE3 over everything that the store holds of a source, each block read and hashed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What came of copying a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Of the source in both stores.
    pub digest: Digest,
    /// Days that were sent; none where all were there.
    pub agent_days: u64,
    /// It was there already, as it is.
    pub unchanged: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("the store to copy from failed")]
    From(#[source] StoreError),
    #[error("the store to copy to failed")]
    To(#[source] StoreError),
    #[error(
        "the store to copy to knows more of this source than the other: {fetches} fetches that the \
         other has not"
    )]
    KnowsMore { fetches: usize },
    #[error("what arrived is not what was sent: digest {found} instead of {sent}")]
    Differs { sent: Digest, found: Digest },
}

/// Copies one source. What the other store holds of it already is not sent again, so that a copy
/// that was interrupted goes on; it is whole, and there for readers, with the last transaction.
///
/// `progress` is told how many days more have been looked at, here and there.
///
/// # Errors
/// See [`CopyError`]; the source is then not marked as present where it was not before.
pub async fn copy_source(
    from: &dyn Relational,
    to: &dyn Relational,
    id: SourceId,
    replace: bool,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Copied, CopyError> {
    let sent = digest(from, id, progress).await.map_err(CopyError::From)?;
    if source_is_there(to, id).await.map_err(CopyError::To)? {
        let held = digest(to, id, &|_| {}).await.map_err(CopyError::To)?;
        if held == sent {
            return Ok(Copied {
                digest: sent,
                agent_days: 0,
                unchanged: true,
            });
        }
        let fetches = unknown_fetches(from, to, id).await?;
        if replace {
            to.delete(id).await.map_err(CopyError::To)?;
        } else if fetches > 0 {
            return Err(CopyError::KnowsMore { fetches });
        }
    }
    let mut reading = from.snapshot().await.map_err(CopyError::From)?;
    announce(reading.as_mut(), to, id).await?;
    let agent_days = send_days(reading.as_mut(), to, id, progress).await?;
    let mut writing = to.writing(Some(id)).await.map_err(CopyError::To)?;
    for table in &TABLES {
        let rows = table.rows(reading.as_mut(), id).await;
        let rows = rows.map_err(CopyError::From)?;
        table
            .replace(writing.as_mut(), id, &rows)
            .await
            .map_err(CopyError::To)?;
    }
    writing.commit().await.map_err(CopyError::To)?;
    reading.commit().await.map_err(CopyError::From)?;
    let found = digest(to, id, progress).await.map_err(CopyError::To)?;
    if found != sent {
        return Err(CopyError::Differs { sent, found });
    }
    Ok(Copied {
        digest: sent,
        agent_days,
        unchanged: false,
    })
}

/// Copies the Agent resources; how many were new.
///
/// # Errors
/// The stores' own.
pub async fn copy_agents(from: &dyn Relational, to: &dyn Relational) -> Result<u64, CopyError> {
    let mut new = 0;
    let resources = from.agent_resources(None).await.map_err(CopyError::From)?;
    for resource in resources {
        new += u64::from(to.put_agent(&resource).await.map_err(CopyError::To)?);
    }
    Ok(new)
}

/// Of all that a store holds of a source.
///
/// # Errors
/// The store's own; [`StoreError::Damaged`] where a block is not what its hash says.
pub async fn digest(
    store: &dyn Relational,
    id: SourceId,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Digest, StoreError> {
    let mut hasher = blake3::Hasher::new();
    let mut reading = store.snapshot().await?;
    for table in &TABLES {
        let rows = table.rows(reading.as_mut(), id).await?;
        hasher.update(&(rows.len() as u64).to_le_bytes());
        for row in &rows {
            for value in table.values(row)? {
                add(&mut hasher, value);
            }
        }
    }
    let mut pages = Pages::of(id);
    while let Some(days) = pages.next(reading.as_mut()).await? {
        for day in &days {
            if block_of::hash(&day.block) != day.hash {
                return Err(StoreError::Damaged {
                    agent: day.agent.to_string(),
                    day: day.day,
                });
            }
            add(&mut hasher, Value::from(&*day.agent));
            add(&mut hasher, Value::from(day.day.0));
            add(&mut hasher, Value::Bytes(&day.hash));
        }
        progress(days.len() as u64);
    }
    reading.commit().await?;
    Ok(Digest(*hasher.finalize().as_bytes()))
}

/// Its kind and its length go first, so that no two sequences of values are one of bytes.
fn add(hasher: &mut blake3::Hasher, value: Value<'_>) {
    let mut part = |kind: u8, bytes: &[u8]| {
        hasher.update(&[kind]);
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    match value {
        Value::Text(None) | Value::Integer(None) => part(0, &[]),
        Value::Id(id) => part(1, id.as_bytes()),
        Value::Text(Some(text)) => part(2, text.as_bytes()),
        Value::Integer(Some(number)) => part(3, &number.to_le_bytes()),
        Value::Flag(flag) => part(4, &[u8::from(flag)]),
        Value::Bytes(bytes) => part(5, bytes),
    }
}

async fn source_is_there(store: &dyn Relational, id: SourceId) -> Result<bool, StoreError> {
    let mut reading = store.reading().await?;
    let found = row(
        reading.as_mut(),
        "SELECT id FROM data_source WHERE id = $1",
        &[id.into()],
    )
    .await?;
    Ok(found.is_some())
}

/// How many fetches `to` has logged that `from` has not.
async fn unknown_fetches(
    from: &dyn Relational,
    to: &dyn Relational,
    id: SourceId,
) -> Result<usize, CopyError> {
    let known = fetch_ids(from, id).await.map_err(CopyError::From)?;
    let held = fetch_ids(to, id).await.map_err(CopyError::To)?;
    Ok(held.difference(&known).count())
}

async fn fetch_ids(
    store: &dyn Relational,
    id: SourceId,
) -> Result<std::collections::BTreeSet<uuid::Uuid>, StoreError> {
    let mut reading = store.reading().await?;
    let rows = reading
        .rows("SELECT id FROM \"fetch\" WHERE source = $1", &[id.into()])
        .await?;
    rows.iter().map(|row| row.uuid("id")).collect()
}

/// Until it is whole, the copy is listed as a source whose object is gone.
async fn announce(
    reading: &mut dyn Session,
    to: &dyn Relational,
    id: SourceId,
) -> Result<(), CopyError> {
    let found = DATA_SOURCE.rows(reading, id).await;
    let mut writing = to.writing(Some(id)).await.map_err(CopyError::To)?;
    DATA_SOURCE
        .replace(writing.as_mut(), id, &found.map_err(CopyError::From)?)
        .await
        .map_err(CopyError::To)?;
    sources::retire(writing.as_mut(), id)
        .await
        .map_err(CopyError::To)?;
    writing.commit().await.map_err(CopyError::To)
}

/// One transaction for each page: what has arrived stays when the copy is interrupted.
async fn send_days(
    reading: &mut dyn Session,
    to: &dyn Relational,
    id: SourceId,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<u64, CopyError> {
    let (mut pages, mut sent) = (Pages::of(id), 0);
    while let Some(days) = pages.next(reading).await.map_err(CopyError::From)? {
        let looked_at = days.len() as u64;
        let mut writing = to.writing(Some(id)).await.map_err(CopyError::To)?;
        sent += put_in_batches(writing.as_mut(), id, days)
            .await
            .map_err(CopyError::To)?;
        writing.commit().await.map_err(CopyError::To)?;
        progress(looked_at);
    }
    Ok(sent)
}
