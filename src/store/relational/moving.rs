//! The data of one source, given to another of the same store.

use std::collections::BTreeMap;

use super::super::StoreError;
use super::tables::{Pages, put_in_batches};
use super::{EncodedDay, Relational, Session, data, sources};
use crate::domain::agent_day::Day;
use crate::domain::data_source::SourceId;

/// Where both sources hold an agent's day, with different content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// Change nothing.
    Refuse,
    /// The heir's stays.
    Keep,
    /// The other's takes its place.
    Take,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adopted {
    /// The data are the heir's, and the source that held them is no more.
    Moved {
        /// Days that the heir did not hold in that way.
        agent_days: u64,
        conflicts: u64,
        /// False where the other's object came back meanwhile: then that one keeps them too.
        removed: bool,
    },
    /// Nothing was changed: the heir is gone, or the other is not.
    NotGone,
    /// Nothing was changed.
    Refused {
        conflicts: u64,
        /// The first of them.
        agent: String,
        day: Day,
    },
}

/// Removes everything that `gone` holds, where no object stands behind it: this is looked at in the
/// same transaction, so that one that comes back keeps its data. False where one does.
///
/// # Errors
/// The store's own.
pub async fn purge(store: &dyn Relational, gone: SourceId) -> Result<bool, StoreError> {
    let mut writing = store.writing(Some(gone)).await?;
    if sources::is_present(writing.as_mut(), gone).await? == Some(true) {
        return Ok(false);
    }
    sources::delete(writing.as_mut(), gone).await?;
    writing.commit().await?;
    Ok(true)
}

/// Gives everything that `gone` holds to `heir`, in one transaction that touches `heir` alone, and
/// then removes `gone` in another. Each looks whether `gone` still is. Interrupted between the two,
/// it is done by asking again.
///
/// # Errors
/// The store's own.
pub async fn adopt(
    store: &dyn Relational,
    gone: SourceId,
    heir: SourceId,
    on_conflict: OnConflict,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Adopted, StoreError> {
    let mut writing = store.writing(Some(heir)).await?;
    let mut reading = store.snapshot().await?;
    let stands = sources::is_present(writing.as_mut(), heir).await?;
    let other_stands = sources::is_present(reading.as_mut(), gone).await?;
    if (stands, other_stands) != (Some(true), Some(false)) {
        return Ok(Adopted::NotGone);
    }
    let (mut pages, mut agent_days) = (Pages::of(gone), 0);
    let mut conflicts = Conflicts::default();
    while let Some(mut days) = pages.next(reading.as_mut()).await? {
        progress(days.len() as u64);
        let differs = conflicts.find(writing.as_mut(), heir, &days).await?;
        if on_conflict == OnConflict::Refuse && conflicts.first.is_some() {
            // The rest is looked at only to say how much there is.
            continue;
        }
        if on_conflict == OnConflict::Keep {
            let mut differs = differs.into_iter();
            days.retain(|_| differs.next() != Some(true));
        }
        agent_days += put_in_batches(writing.as_mut(), heir, days).await?;
    }
    reading.commit().await?;
    if let (OnConflict::Refuse, Some((agent, day))) = (on_conflict, conflicts.first) {
        return Ok(Adopted::Refused {
            conflicts: conflicts.count,
            agent,
            day,
        });
    }
    data::summarise(writing.as_mut(), heir).await?;
    sources::count_agents(writing.as_mut(), heir).await?;
    sources::raise_version(writing.as_mut(), heir).await?;
    writing.commit().await?;
    Ok(Adopted::Moved {
        agent_days,
        conflicts: conflicts.count,
        removed: purge(store, gone).await?,
    })
}

#[derive(Default)]
struct Conflicts {
    count: u64,
    first: Option<(String, Day)>,
}

impl Conflicts {
    /// For each of `days`, whether `heir` holds it with another content.
    async fn find(
        &mut self,
        session: &mut dyn Session,
        heir: SourceId,
        days: &[EncodedDay],
    ) -> Result<Vec<bool>, StoreError> {
        let mut differs = Vec::with_capacity(days.len());
        for of_agent in days.chunk_by(|a, b| a.agent == b.agent) {
            let held = hashes(session, heir, of_agent).await?;
            for day in of_agent {
                let other = held.get(&day.day).is_some_and(|hash| *hash != day.hash);
                if other {
                    self.count += 1;
                    self.first
                        .get_or_insert_with(|| (day.agent.to_string(), day.day));
                }
                differs.push(other);
            }
        }
        Ok(differs)
    }
}

/// What `heir` holds of the agent between the first and the last of these days.
async fn hashes(
    session: &mut dyn Session,
    heir: SourceId,
    of_agent: &[EncodedDay],
) -> Result<BTreeMap<Day, Vec<u8>>, StoreError> {
    let (Some(first), Some(last)) = (of_agent.first(), of_agent.last()) else {
        return Ok(BTreeMap::new());
    };
    let rows = session
        .rows(
            "SELECT day, hash FROM agent_day \
             WHERE source = $1 AND agent = $2 AND day BETWEEN $3 AND $4",
            &[
                heir.into(),
                (&*first.agent).into(),
                first.day.0.into(),
                last.day.0.into(),
            ],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.day("day")?, row.get("hash")?)))
        .collect()
}
