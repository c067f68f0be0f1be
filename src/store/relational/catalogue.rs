//! What there is: sources by name, the agents they hold, and the Agent resources that speak of
//! them.

use super::super::{AgentRow, Size, SourceRow, StoreError};
use super::rows::{agent_row, decode, nanoseconds, outcome, unsigned};
use super::{Row, Session, row};
use crate::domain::agent::AgentResource;
use crate::domain::data_source::{SourceId, SourceKey};
use crate::domain::description::Description;
use crate::domain::fetch::{FetchError, Outcome};

/// With the outcome of the newest fetch of the object that bears the name.
const SOURCE: &str = "SELECT data_source.*, (SELECT outcome FROM \"fetch\" \
     WHERE source = data_source.id AND uid = data_source.uid AND completed_at IS NOT NULL \
     ORDER BY \"fetch\".id DESC LIMIT 1) AS newest_outcome FROM data_source";

pub(super) async fn sources(reading: &mut dyn Session) -> Result<Vec<SourceRow>, StoreError> {
    let sql = format!("{SOURCE} ORDER BY namespace, name, data_source.id");
    let rows = reading.rows(&sql, &[]).await?;
    rows.iter().map(source_row).collect()
}

pub(super) async fn present_sources(
    reading: &mut dyn Session,
) -> Result<Vec<(SourceId, SourceKey)>, StoreError> {
    let sql = "SELECT id, namespace, name FROM data_source WHERE present";
    let rows = reading.rows(sql, &[]).await?;
    rows.iter()
        .map(|row| Ok((SourceId(row.uuid("id")?), source_key(row)?)))
        .collect()
}

pub(super) async fn source(
    reading: &mut dyn Session,
    named: &SourceKey,
) -> Result<Option<SourceRow>, StoreError> {
    let sql = format!("{SOURCE} WHERE namespace = $1 AND name = $2 AND present");
    let found = row(
        reading,
        &sql,
        &[(&named.namespace).into(), (&named.name).into()],
    )
    .await?;
    found.as_ref().map(source_row).transpose()
}

pub(super) async fn agent_holders(
    reading: &mut dyn Session,
    namespace: &str,
    code: &str,
) -> Result<Vec<(SourceRow, AgentRow)>, StoreError> {
    // The agent's columns have names of their own: both tables have a first and a last day.
    let sql = format!(
        "SELECT sources.*, agent.code, agent.days, agent.first_day AS agent_first_day, \
         agent.last_day AS agent_last_day FROM ({SOURCE}) AS sources \
         JOIN agent ON agent.source = sources.id AND agent.code = $1 \
         WHERE namespace = $2 AND present ORDER BY name"
    );
    let rows = reading.rows(&sql, &[code.into(), namespace.into()]).await?;
    rows.iter()
        .map(|row| {
            let agent = AgentRow {
                code: row.text("code")?,
                days: row.count("days")?,
                first_day: row.day("agent_first_day")?,
                last_day: row.day("agent_last_day")?,
            };
            Ok((source_row(row)?, agent))
        })
        .collect()
}

pub(super) async fn agent_list(
    reading: &mut dyn Session,
) -> Result<Vec<(SourceId, AgentRow)>, StoreError> {
    let rows = reading
        .rows(
            "SELECT agent.* FROM agent JOIN data_source ON data_source.id = agent.source \
             WHERE present ORDER BY code, namespace, name",
            &[],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((SourceId(row.uuid("source")?), agent_row(row)?)))
        .collect()
}

pub(super) async fn size(reading: &mut dyn Session, id: SourceId) -> Result<Size, StoreError> {
    let found = row(
        reading,
        "SELECT count(*) AS agent_days, CAST(coalesce(sum(length(block)), 0) AS BIGINT) AS bytes \
         FROM agent_day WHERE source = $1",
        &[id.into()],
    )
    .await?;
    let found = found.ok_or_else(|| decode("agent_days", "there is no count"))?;
    Ok(Size {
        agent_days: found.count("agent_days")?,
        bytes: found.count("bytes")?,
    })
}

pub(super) async fn describe(
    writing: &mut dyn Session,
    id: SourceId,
    description: &Description,
) -> Result<(), StoreError> {
    let json = serde_json::to_string(description).map_err(|error| decode("description", error))?;
    writing
        .execute(
            "UPDATE data_source SET description = $1, version = version + 1 WHERE id = $2",
            &[(&json).into(), id.into()],
        )
        .await
        .map(drop)
}

/// Whether anything of it was new.
pub(super) async fn put_agent(
    writing: &mut dyn Session,
    resource: &AgentResource,
) -> Result<bool, StoreError> {
    let json = serde_json::to_string(&resource.agent).map_err(|error| decode("agent", error))?;
    writing
        .execute(
            "INSERT INTO agent_resource (namespace, name, uid, created_at, agent) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (namespace, name) DO UPDATE \
             SET uid = excluded.uid, created_at = excluded.created_at, agent = excluded.agent \
             WHERE (agent_resource.uid, agent_resource.created_at, agent_resource.agent) \
             <> (excluded.uid, excluded.created_at, excluded.agent)",
            &[
                (&resource.namespace).into(),
                (&resource.name).into(),
                (&resource.uid).into(),
                nanoseconds(resource.created_at).into(),
                (&json).into(),
            ],
        )
        .await
        .map(|changed| changed > 0)
}

pub(super) async fn remove_agent(
    writing: &mut dyn Session,
    namespace: &str,
    name: &str,
) -> Result<(), StoreError> {
    writing
        .execute(
            "DELETE FROM agent_resource WHERE namespace = $1 AND name = $2",
            &[namespace.into(), name.into()],
        )
        .await
        .map(drop)
}

pub(super) async fn agent_resources(
    reading: &mut dyn Session,
    namespace: Option<&str>,
) -> Result<Vec<AgentResource>, StoreError> {
    let rows = reading
        .rows(
            "SELECT * FROM agent_resource WHERE $1 IS NULL OR namespace = $1 \
             ORDER BY namespace, name",
            &[super::Value::Text(namespace)],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let json = row.text("agent")?;
            Ok(AgentResource {
                namespace: row.text("namespace")?,
                name: row.text("name")?,
                uid: row.text("uid")?,
                created_at: row.required_time("created_at")?,
                agent: serde_json::from_str(&json).map_err(|error| decode("agent", error))?,
            })
        })
        .collect()
}

/// As [`describe`] wrote it; None where a version of before did not, or a later one wrote what
/// this one can't read: the next look at the object writes it anew.
pub(super) fn description(row: &Row) -> Result<Option<Description>, StoreError> {
    let json = row.optional_text("description")?;
    Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
}

fn source_key(row: &Row) -> Result<SourceKey, StoreError> {
    Ok(SourceKey {
        namespace: row.text("namespace")?,
        name: row.text("name")?,
    })
}

fn source_row(row: &Row) -> Result<SourceRow, StoreError> {
    Ok(SourceRow {
        id: SourceId(row.uuid("id")?),
        key: source_key(row)?,
        uid: row.text("uid")?,
        present: row.get("present")?,
        description: description(row)?,
        agent_count: row.count("agent_count")?,
        rows: row.get::<Option<i64>>("rows")?.map(unsigned),
        first_day: row.optional_day("first_day")?,
        last_day: row.optional_day("last_day")?,
        last_fetch_at: row.time("last_fetch_at")?,
        last_success_at: row.time("last_success_at")?,
        imported_at: row.time("imported_at")?,
        last_error: newest_error(row)?,
        missed_fetches: row.count("missed_fetches")?,
        failures: row.small_count("failures")?,
        reader: row.optional_text("reader")?,
        version: row.count("version")?,
    })
}

fn newest_error(row: &Row) -> Result<Option<FetchError>, StoreError> {
    Ok(match outcome(row, "newest_outcome")? {
        Some(Outcome::Failed(error)) => Some(error),
        Some(Outcome::Imported(_) | Outcome::NotModified) | None => None,
    })
}
