//! What was fetched, kept: one block per agent and day, and the log of every fetch.
//!
//! [`Store`] speaks the domain's words; [`relational`] says it in SQL, on [`sqlite`], the embedded
//! one, and on [`postgres`], where one machine is outgrown.

pub mod block;
mod cause;
pub mod postgres;
pub mod relational;
pub mod report_data;
pub mod sqlite;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

pub use self::cause::Cause;
pub use self::relational::EncodedDay;

use crate::domain::agent::AgentResource;
use crate::domain::agent_day::{AgentDay, Day};
use crate::domain::counts_csv::Spilled;
use crate::domain::data_source::{SourceId, SourceKey};
use crate::domain::description::Description;
use crate::domain::fetch::{FetchError, FetchRecord, Import, Outcome};
use crate::domain::plan::{CursorUpdate, FetchPlan};
use crate::domain::status::Stored;

/// Days in order of agent and day, encoded as they are asked for.
pub type EncodedDays = Box<dyn Iterator<Item = Result<EncodedDay, StoreError>> + Send>;

/// Everything that a fetch replaces goes through one transaction, and one transaction touches one
/// data source only: readers see all of a fetch or nothing of it, whatever dies when.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Begins a term, in which this process writes from now on, and returns its number: greater than
    /// that of every term before. What a process of an earlier term would still commit to a source
    /// that has been written in this one is refused: [`StoreError::Fenced`]. A process that begins
    /// none is the only one that writes, and refused nothing.
    async fn begin_term(&self) -> Result<i64, StoreError>;

    /// Makes a source this term's: what is observed from then on, no earlier term changes any more.
    /// False where this process has no term.
    async fn take(&self, id: SourceId) -> Result<bool, StoreError>;

    /// What is known of a source. One never seen before is entered, and one whose object is new
    /// (another UID under a known id) starts with its data but without missed slots, cursor,
    /// handled tokens, failures or history: those belonged to the object that is gone.
    /// `history` at most so many records, newest first.
    async fn observe(&self, source: &SourceRef, history: usize) -> Result<Stored, StoreError>;

    /// Moves the slot cursor and adds to the missed slots.
    async fn advance_cursor(&self, id: SourceId, update: &CursorUpdate) -> Result<(), StoreError>;

    /// Keeps the ARN whose identity reads; an empty one: nobody's.
    async fn set_reader(&self, id: SourceId, reader: &str) -> Result<(), StoreError>;

    /// Keeps what reports have to know of the spec.
    async fn describe(&self, id: SourceId, description: &Description) -> Result<(), StoreError>;

    /// Begins a fetch: writes its row to the log, claims its slot, moves the cursor, resets the
    /// failures where the plan says so. With `plan.resume` the row that is there is taken up again
    /// as it is. A slot that the log already holds is [`StoreError::SlotTaken`].
    async fn begin_fetch(&self, begin: &BeginFetch) -> Result<Uuid, StoreError>;

    /// Ends a fetch that changed no data: `NotModified` or `Failed`. Tokens count as handled from
    /// here on. A repeat of the newest failure becomes one more attempt of that record.
    async fn complete_fetch(&self, end: &EndFetch) -> Result<(), StoreError>;

    /// [`Store::import_blocks`] of days that are at hand.
    ///
    /// # Errors
    /// As that.
    async fn import(
        &self,
        end: &EndFetch,
        agent_days: Box<dyn Iterator<Item = AgentDay> + Send>,
    ) -> Result<Import, StoreError> {
        let mut writer = block::Writer::default();
        let encoded = agent_days.map(move |day| {
            let block = writer.write(&day);
            Ok(EncodedDay::of(day.agent, day.day, block))
        });
        self.import_blocks(end, Box::new(encoded)).await
    }

    /// Ends a fetch with its data, all in one transaction: every (agent, day) named replaces what
    /// was held for it; a day whose content hash is unchanged is not written. `end.outcome` is
    /// `Imported`; its `agent_days` and `changed_agent_days` are filled in here, and the whole is
    /// returned as it was logged. Where one of the days is an error, nothing changes.
    async fn import_blocks(
        &self,
        end: &EndFetch,
        encoded: EncodedDays,
    ) -> Result<Import, StoreError>;

    /// Strikes a fetch from the log that was begun and is no longer wanted. Its slot is free again
    /// and the cursor lies before it: what takes the fetch's place fires it.
    async fn abandon_fetch(&self, id: SourceId, fetch: Uuid) -> Result<(), StoreError>;

    /// Marks a source whose object is gone: its data stay, lists no longer show it, and an object
    /// of the same id has them again.
    async fn retire(&self, id: SourceId) -> Result<(), StoreError>;

    /// Removes a source and everything it held.
    async fn delete(&self, id: SourceId) -> Result<(), StoreError>;

    /// Every source, by key; also those whose object is gone (`present: false`).
    async fn sources(&self) -> Result<Vec<SourceRow>, StoreError>;

    /// The names of every source whose object is there, without all the rest, of which ten thousand
    /// would take much at once.
    async fn present_sources(&self) -> Result<Vec<(SourceId, SourceKey)>, StoreError>;

    /// The source that bears the name now; None where its object is gone.
    async fn source(&self, key: &SourceKey) -> Result<Option<SourceRow>, StoreError>;

    /// How much a source holds.
    async fn size(&self, id: SourceId) -> Result<Size, StoreError>;

    /// The sources of a namespace that hold an agent, by name; not those whose object is gone.
    async fn agent_holders(
        &self,
        namespace: &str,
        code: &str,
    ) -> Result<Vec<(SourceRow, AgentRow)>, StoreError>;

    /// Every agent of every source whose object is there, by code.
    async fn agent_list(&self) -> Result<Vec<(SourceId, AgentRow)>, StoreError>;

    /// Keeps an Agent resource under its namespace and name. False where it is kept as it is.
    async fn put_agent(&self, resource: &AgentResource) -> Result<bool, StoreError>;

    /// Lets go of an Agent resource; of one that is not kept, too.
    async fn remove_agent(&self, namespace: &str, name: &str) -> Result<(), StoreError>;

    /// The Agent resources of one namespace or of all, by namespace and name.
    async fn agent_resources(
        &self,
        namespace: Option<&str>,
    ) -> Result<Vec<AgentResource>, StoreError>;

    /// Every agent of a source, by code.
    async fn agents(&self, id: SourceId) -> Result<Vec<AgentRow>, StoreError>;

    /// One agent's days from `from` to `to` (both included), in order.
    async fn agent_days(
        &self,
        id: SourceId,
        agent: &str,
        from: Day,
        to: Day,
    ) -> Result<Vec<AgentDay>, StoreError>;

    /// The fetch log of a source, newest first, of fetches that began before `before`.
    async fn fetches(
        &self,
        id: SourceId,
        limit: usize,
        before: Option<Uuid>,
    ) -> Result<Vec<FetchRecord>, StoreError>;

    /// Until the database refuses this process's login: a password that was changed reaches a process
    /// only by its next start. Never, where there is no login.
    async fn turned_away(&self);

    /// Whether the store answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Writes everything out and closes.
    async fn close(&self);
}

/// What names a source's object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRef {
    pub id: SourceId,
    pub key: SourceKey,
    pub uid: String,
}

#[derive(Debug, Clone)]
pub struct BeginFetch {
    pub source: SourceId,
    pub uid: String,
    pub plan: FetchPlan,
    pub cursor: Option<CursorUpdate>,
    pub fingerprint: String,
    pub started_at: Timestamp,
}

#[derive(Debug, Clone)]
pub struct EndFetch {
    pub source: SourceId,
    pub fetch: Uuid,
    pub outcome: Outcome,
    /// Of the object that was imported.
    pub etag: Option<String>,
    pub completed_at: Timestamp,
}

/// A source and what is known of it besides its data.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceRow {
    pub id: SourceId,
    pub key: SourceKey,
    /// Of the object that bears the name now, or bore it last.
    pub uid: String,
    pub present: bool,
    /// None until the object is first looked at by a version that keeps it.
    pub description: Option<Description>,
    pub agent_count: u64,
    /// Rows of the newest file imported.
    pub rows: Option<u64>,
    pub first_day: Option<Day>,
    pub last_day: Option<Day>,
    pub last_fetch_at: Option<Timestamp>,
    pub last_success_at: Option<Timestamp>,
    /// When the newest file was imported; a look that finds it unchanged does not count.
    pub imported_at: Option<Timestamp>,
    /// Where the newest fetch failed.
    pub last_error: Option<FetchError>,
    pub missed_fetches: u64,
    /// Failures in a row.
    pub failures: u32,
    /// ARN of whose identity reads.
    pub reader: Option<String>,
    /// Raised by every change of what a report could show.
    pub version: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    pub agent_days: u64,
    /// Of their blocks.
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRow {
    pub code: String,
    pub days: u64,
    pub first_day: Day,
    pub last_day: Day,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the store has no room left")]
    Full(#[source] Cause<sqlx::Error>),
    #[error(
        "the store was written by a newer version of sumsq (schema {found}, this one knows {known})"
    )]
    Newer { found: i64, known: i64 },
    #[error(
        "the store at {path} was removed or replaced while in use; start again to use what is there"
    )]
    Replaced { path: String },
    #[error("another operator has the store at {path} open")]
    InUse { path: String },
    #[error("there is no store at {path} yet")]
    Missing { path: String },
    #[error(
        "the store is of an older version of sumsq (schema {found}, this one reads {known}); it is brought up to date by the process that writes it"
    )]
    Older { found: i64, known: i64 },
    #[error(
        "another operator has taken over: this one began term {term}, and what it would change was \
         written in term {newer}"
    )]
    Fenced { term: i64, newer: i64 },
    #[error("slot {slot} of {source_id} has been fetched already")]
    SlotTaken {
        source_id: SourceId,
        slot: Timestamp,
    },
    #[error("the fetch is not in the log, or has ended")]
    UnknownFetch(Uuid),
    #[error(transparent)]
    Spilled(#[from] Spilled),
    #[error("a stored block cannot be read")]
    Block(#[from] block::BlockError),
    #[error("the block of agent {agent:?} on {day} is not the one that was stored")]
    Damaged { agent: String, day: Day },
    #[error("cannot open the store {path}")]
    Open {
        path: String,
        #[source]
        source: Cause<sqlx::Error>,
    },
    #[error(
        "the store's address is not understood ({reason}); write sqlite:PATH or \
         postgres://USER@HOST:PORT/DATABASE"
    )]
    Address { reason: String },
    #[error("the database at {address} cannot be reached")]
    Unreachable {
        address: String,
        #[source]
        source: Cause<sqlx::Error>,
    },
    #[error("the database at {address} refuses the user, the password, or what the user may do")]
    Refused {
        address: String,
        /// It does not let this user in with this password, whatever is asked of it.
        login: bool,
        #[source]
        source: Cause<sqlx::Error>,
    },
    #[error("there is no database at {address}")]
    NoDatabase {
        address: String,
        #[source]
        source: Cause<sqlx::Error>,
    },
    #[error("the database at {address} takes no changes: it is a standby, or set to read only")]
    ReadOnly {
        address: String,
        #[source]
        source: Cause<sqlx::Error>,
    },
    #[error("the database at {address} did not answer in time")]
    TooSlow {
        address: String,
        /// None where it did not say so itself.
        #[source]
        source: Option<Cause<sqlx::Error>>,
    },
    #[error("the store failed")]
    Database(#[source] Cause<sqlx::Error>),
    #[error("the store could not be brought to this version's schema")]
    Migrate(#[source] Cause<sqlx::migrate::MigrateError>),
}
