//! What there is: sources by name, the agents they hold, and the Agent resources that speak of
//! them.

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Sqlite, Transaction};

use super::super::{AgentRow, SourceRow, StoreError};
use super::rows::{decode, get, nanoseconds, optional, required_time, time, unsigned, uuid};
use super::{data, database, key};
use crate::domain::agent::AgentResource;
use crate::domain::agent_day::Day;
use crate::domain::data_source::{SourceId, SourceKey};
use crate::domain::description::Description;
use crate::domain::fetch::{FetchError, Outcome};

type Writing = Transaction<'static, Sqlite>;

/// With the outcome of the newest fetch of the object that bears the name.
const SOURCE: &str = "SELECT data_source.*, (SELECT outcome FROM fetch \
     WHERE source = data_source.id AND uid = data_source.uid AND completed_at IS NOT NULL \
     ORDER BY fetch.id DESC LIMIT 1) AS newest_outcome FROM data_source";

pub(super) async fn sources(pool: &SqlitePool) -> Result<Vec<SourceRow>, StoreError> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "{SOURCE} ORDER BY namespace, name, data_source.id"
    )))
    .fetch_all(pool)
    .await
    .map_err(database)?;
    rows.iter().map(source_row).collect()
}

pub(super) async fn source(
    pool: &SqlitePool,
    named: &SourceKey,
) -> Result<Option<SourceRow>, StoreError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "{SOURCE} WHERE namespace = ? AND name = ? AND present = 1"
    )))
    .bind(&named.namespace)
    .bind(&named.name)
    .fetch_optional(pool)
    .await
    .map_err(database)?;
    row.as_ref().map(source_row).transpose()
}

pub(super) async fn agent_holders(
    pool: &SqlitePool,
    namespace: &str,
    code: &str,
) -> Result<Vec<(SourceRow, AgentRow)>, StoreError> {
    // The agent's columns have names of their own: both tables have a first and a last day.
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT sources.*, agent.code, agent.days, agent.first_day AS agent_first_day, \
         agent.last_day AS agent_last_day FROM ({SOURCE}) AS sources \
         JOIN agent ON agent.source = sources.id AND agent.code = ? \
         WHERE namespace = ? AND present = 1 ORDER BY name"
    )))
    .bind(code)
    .bind(namespace)
    .fetch_all(pool)
    .await
    .map_err(database)?;
    rows.iter()
        .map(|row| {
            let agent = AgentRow {
                code: get(row, "code")?,
                days: unsigned(get(row, "days")?),
                first_day: Day(get(row, "agent_first_day")?),
                last_day: Day(get(row, "agent_last_day")?),
            };
            Ok((source_row(row)?, agent))
        })
        .collect()
}

pub(super) async fn agent_list(pool: &SqlitePool) -> Result<Vec<(SourceId, AgentRow)>, StoreError> {
    let rows = sqlx::query(
        "SELECT agent.* FROM agent JOIN data_source ON data_source.id = agent.source \
         WHERE present = 1 ORDER BY code, namespace, name",
    )
    .fetch_all(pool)
    .await
    .map_err(database)?;
    rows.iter()
        .map(|row| {
            let agent = data::agent_row(row).map_err(database)?;
            Ok((SourceId(uuid(row, "source")?), agent))
        })
        .collect()
}

pub(super) async fn describe(
    writing: &mut Writing,
    id: SourceId,
    description: &Description,
) -> Result<(), StoreError> {
    let json = serde_json::to_string(description).map_err(|error| decode("description", error))?;
    sqlx::query("UPDATE data_source SET description = ?, version = version + 1 WHERE id = ?")
        .bind(json)
        .bind(key(id))
        .execute(&mut **writing)
        .await
        .map(drop)
        .map_err(database)
}

/// Whether anything of it was new.
pub(super) async fn put_agent(
    writing: &mut Writing,
    resource: &AgentResource,
) -> Result<bool, StoreError> {
    let json = serde_json::to_string(&resource.agent).map_err(|error| decode("agent", error))?;
    sqlx::query(
        "INSERT INTO agent_resource (namespace, name, uid, created_at, agent) \
         VALUES (?, ?, ?, ?, ?) ON CONFLICT (namespace, name) DO UPDATE SET uid = excluded.uid, \
         created_at = excluded.created_at, agent = excluded.agent \
         WHERE (uid, created_at, agent) <> (excluded.uid, excluded.created_at, excluded.agent)",
    )
    .bind(&resource.namespace)
    .bind(&resource.name)
    .bind(&resource.uid)
    .bind(nanoseconds(resource.created_at))
    .bind(json)
    .execute(&mut **writing)
    .await
    .map(|result| result.rows_affected() > 0)
    .map_err(database)
}

pub(super) async fn remove_agent(
    writing: &mut Writing,
    namespace: &str,
    name: &str,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM agent_resource WHERE namespace = ? AND name = ?")
        .bind(namespace)
        .bind(name)
        .execute(&mut **writing)
        .await
        .map(drop)
        .map_err(database)
}

pub(super) async fn agent_resources(
    pool: &SqlitePool,
    namespace: Option<&str>,
) -> Result<Vec<AgentResource>, StoreError> {
    let rows = sqlx::query(
        "SELECT * FROM agent_resource WHERE ?1 IS NULL OR namespace = ?1 ORDER BY namespace, name",
    )
    .bind(namespace)
    .fetch_all(pool)
    .await
    .map_err(database)?;
    rows.iter()
        .map(|row| {
            let json: String = get(row, "agent")?;
            Ok(AgentResource {
                namespace: get(row, "namespace")?,
                name: get(row, "name")?,
                uid: get(row, "uid")?,
                created_at: required_time(row, "created_at")?,
                agent: serde_json::from_str(&json).map_err(|error| decode("agent", error))?,
            })
        })
        .collect()
}

/// As [`describe`] wrote it; None where a version of before did not, or a later one wrote what
/// this one can't read: the next look at the object writes it anew.
pub(super) fn description(row: &SqliteRow) -> Result<Option<Description>, StoreError> {
    let json: Option<String> = optional(row, "description")?;
    Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
}

fn source_row(row: &SqliteRow) -> Result<SourceRow, StoreError> {
    Ok(SourceRow {
        id: SourceId(uuid(row, "id")?),
        key: SourceKey {
            namespace: get(row, "namespace")?,
            name: get(row, "name")?,
        },
        uid: get(row, "uid")?,
        present: get(row, "present")?,
        description: description(row)?,
        agent_count: unsigned(get(row, "agent_count")?),
        rows: optional::<i64>(row, "rows")?.map(unsigned),
        first_day: optional(row, "first_day")?.map(Day),
        last_day: optional(row, "last_day")?.map(Day),
        last_fetch_at: time(row, "last_fetch_at")?,
        last_success_at: time(row, "last_success_at")?,
        imported_at: time(row, "imported_at")?,
        last_error: newest_error(row)?,
        missed_fetches: unsigned(get(row, "missed_fetches")?),
        failures: u32::try_from(get::<i64>(row, "failures")?).unwrap_or(u32::MAX),
        reader: optional(row, "reader")?,
        version: unsigned(get(row, "version")?),
    })
}

fn newest_error(row: &SqliteRow) -> Result<Option<FetchError>, StoreError> {
    let Some(json) = optional::<String>(row, "newest_outcome")? else {
        return Ok(None);
    };
    match serde_json::from_str(&json).map_err(|error| decode("outcome", error))? {
        Outcome::Failed(error) => Ok(Some(error)),
        Outcome::Imported(_) | Outcome::NotModified => Ok(None),
    }
}
