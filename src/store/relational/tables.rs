//! The tables of a source as they are, column by column: what is copied and compared whole.

use super::super::StoreError;
use super::{EncodedDay, Row, Session, Value};
use crate::domain::agent_day::Day;
use crate::domain::data_source::SourceId;

/// Days read at a time: a few megabytes.
const PAGE: i64 = 512;
/// Rows of one statement.
const ROWS: usize = 100;

#[derive(Clone, Copy)]
enum Kind {
    Id,
    Text,
    Integer,
    Flag,
}

/// Everything of a source but its days.
pub(super) struct Table {
    name: &'static str,
    /// The column of the source's id, which comes first.
    source: &'static str,
    columns: &'static [(&'static str, Kind)],
    order: &'static str,
}

pub(super) const DATA_SOURCE: Table = Table {
    name: "data_source",
    source: "id",
    columns: &[
        ("id", Kind::Id),
        ("namespace", Kind::Text),
        ("name", Kind::Text),
        ("uid", Kind::Text),
        ("present", Kind::Flag),
        ("cursor_schedule", Kind::Text),
        ("cursor_until", Kind::Integer),
        ("missed_fetches", Kind::Integer),
        ("failures", Kind::Integer),
        ("handled_request", Kind::Text),
        ("handled_force_request", Kind::Text),
        ("last_fetch_at", Kind::Integer),
        ("last_success_at", Kind::Integer),
        ("reader", Kind::Text),
        ("etag", Kind::Text),
        ("etag_fingerprint", Kind::Text),
        ("imported_at", Kind::Integer),
        ("\"rows\"", Kind::Integer),
        ("agent_count", Kind::Integer),
        ("first_day", Kind::Integer),
        ("last_day", Kind::Integer),
        ("description", Kind::Text),
        ("version", Kind::Integer),
    ],
    order: "id",
};

pub(super) const TABLES: [Table; 4] = [
    DATA_SOURCE,
    Table {
        name: "\"fetch\"",
        source: "source",
        columns: &[
            ("source", Kind::Id),
            ("id", Kind::Id),
            ("uid", Kind::Text),
            ("\"trigger\"", Kind::Text),
            ("fingerprint", Kind::Text),
            ("slot", Kind::Integer),
            ("request", Kind::Text),
            ("force_request", Kind::Text),
            ("started_at", Kind::Integer),
            ("completed_at", Kind::Integer),
            ("attempts", Kind::Integer),
            ("outcome", Kind::Text),
        ],
        order: "id",
    },
    Table {
        name: "slot",
        source: "source",
        columns: &[
            ("source", Kind::Id),
            ("uid", Kind::Text),
            ("slot", Kind::Integer),
            ("\"fetch\"", Kind::Id),
        ],
        order: "uid, slot",
    },
    Table {
        name: "agent",
        source: "source",
        columns: &[
            ("source", Kind::Id),
            ("code", Kind::Text),
            ("days", Kind::Integer),
            ("first_day", Kind::Integer),
            ("last_day", Kind::Integer),
        ],
        order: "code",
    },
];

impl Table {
    /// Integers as 64 bits and text as text, whatever the columns' own types.
    pub(super) async fn rows(
        &self,
        reading: &mut dyn Session,
        id: SourceId,
    ) -> Result<Vec<Row>, StoreError> {
        let columns = self.columns.iter().enumerate();
        let columns: Vec<String> = columns
            .map(|(at, (name, kind))| match kind {
                Kind::Integer => format!("CAST({name} AS BIGINT) AS c{at}"),
                _ => format!("{name} AS c{at}"),
            })
            .collect();
        let sql = format!(
            "SELECT {} FROM {} WHERE {} = $1 ORDER BY {}",
            columns.join(", "),
            self.name,
            self.source,
            self.order
        );
        reading.rows(&sql, &[id.into()]).await
    }

    pub(super) fn values<'row>(&self, row: &'row Row) -> Result<Vec<Value<'row>>, StoreError> {
        let columns = self.columns.iter().enumerate();
        columns
            .map(|(at, (_, kind))| {
                let column = format!("c{at}");
                Ok(match kind {
                    Kind::Id => Value::Id(row.get(&column)?),
                    Kind::Text => Value::Text(row.get(&column)?),
                    Kind::Integer => Value::Integer(row.get(&column)?),
                    Kind::Flag => Value::Flag(row.get(&column)?),
                })
            })
            .collect()
    }

    /// Puts these rows in the place of what is there.
    pub(super) async fn replace(
        &self,
        writing: &mut dyn Session,
        id: SourceId,
        rows: &[Row],
    ) -> Result<(), StoreError> {
        let delete = format!("DELETE FROM {} WHERE {} = $1", self.name, self.source);
        writing.execute(&delete, &[id.into()]).await?;
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        for rows in rows.chunks(ROWS) {
            let mut values = Vec::with_capacity(rows.len() * names.len());
            for row in rows {
                values.extend(self.values(row)?);
            }
            let tuples: Vec<String> = (0..rows.len())
                .map(|row| {
                    let first = row * names.len() + 1;
                    let places = (first..first + names.len()).map(|at| format!("${at}"));
                    format!("({})", places.collect::<Vec<_>>().join(", "))
                })
                .collect();
            let insert = format!(
                "INSERT INTO {} ({}) VALUES {}",
                self.name,
                names.join(", "),
                tuples.join(", ")
            );
            writing.execute(&insert, &values).await?;
        }
        Ok(())
    }
}

/// The days of a source, page by page.
pub(super) struct Pages {
    id: SourceId,
    after: Option<(String, Day)>,
}

impl Pages {
    pub(super) fn of(id: SourceId) -> Self {
        // No code is empty: all lie behind this.
        let after = Some((String::new(), Day(i32::MIN)));
        Self { id, after }
    }

    /// None at the end; never empty.
    pub(super) async fn next(
        &mut self,
        reading: &mut dyn Session,
    ) -> Result<Option<Vec<EncodedDay>>, StoreError> {
        let Some((agent, day)) = self.after.take() else {
            return Ok(None);
        };
        let rows = reading
            .rows(
                "SELECT agent, day, hash, block FROM agent_day WHERE source = $1 \
                 AND (agent, day) > ($2, $3) ORDER BY agent, day LIMIT $4",
                &[self.id.into(), (&agent).into(), day.0.into(), PAGE.into()],
            )
            .await?;
        let days: Vec<EncodedDay> = rows.iter().map(encoded).collect::<Result<_, _>>()?;
        self.after = days.last().map(|day| (day.agent.to_string(), day.day));
        Ok(self.after.is_some().then_some(days))
    }
}

fn encoded(row: &Row) -> Result<EncodedDay, StoreError> {
    let (agent, day) = (row.text("agent")?, row.day("day")?);
    let hash: &[u8] = row.get("hash")?;
    let Ok(hash) = hash.try_into() else {
        return Err(StoreError::Damaged { agent, day });
    };
    Ok(EncodedDay {
        agent: agent.into(),
        day,
        hash,
        block: row.get("block")?,
    })
}

pub(super) async fn put_in_batches(
    writing: &mut dyn Session,
    id: SourceId,
    days: Vec<EncodedDay>,
) -> Result<u64, StoreError> {
    let (mut days, mut new) = (days.into_iter().peekable(), 0);
    while days.peek().is_some() {
        let batch = days.by_ref().take(writing.batch()).collect();
        new += writing.put_days(id, batch).await?;
    }
    Ok(new)
}
