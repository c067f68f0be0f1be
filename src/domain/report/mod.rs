//! Testing and Activity reports: one view model that JSON, HTML, CSV and the terminal show, so that
//! they can't disagree.

mod activity;
mod choices;
mod concerns;
pub mod csv;
mod natural;
pub mod query;
mod question;
mod scope;
mod sentence;
mod slice;
mod tally;
pub mod terminal;
mod testing;
pub mod trust;
pub mod view;
pub mod words;

use jiff::Timestamp;

use super::agent::Agent;
use super::agent_day::AgentDay;
use super::data_source::SourceKey;
use super::description::Description;
use super::fetch::FetchError;

pub use activity::activity;
pub use choices::{Choice, Choices, choices};
pub use concerns::MAX_SLOTS_COUNTED;
pub use query::{ActivityQuery, QueryError, TestingQuery};
pub use tally::Tally;
pub use testing::{goals, testing};

/// One agent of one data source, with everything that a report says of it.
#[derive(Debug, Clone)]
pub struct AgentData {
    /// As written in the CSV.
    pub code: String,
    /// What an Agent resource adds, where there is one.
    pub resource: Option<Agent>,
    pub source: SourceData,
}

/// What one data source holds of an agent.
#[derive(Debug, Clone)]
pub struct SourceData {
    pub key: SourceKey,
    pub description: Description,
    /// When a fetch last succeeded: the data are as of then.
    pub data_as_of: Option<Timestamp>,
    /// When the data that are held were fetched: a day that had not ended then is incomplete.
    pub imported_at: Option<Timestamp>,
    /// Where the newest fetch failed.
    pub last_error: Option<FetchError>,
    /// In order, each day once.
    pub days: Vec<AgentDay>,
}
