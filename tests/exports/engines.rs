//! Runs the queries of examples/exports as their headers say, over the same two tables.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::postgres::{PASSWORD, Postgres};
use crate::support::process::testbed_path;
use crate::visitors::Tables;

/// Nothing may depend on the zone of whoever runs it.
const SESSION_ZONE: &str = "Asia/Tokyo";

pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/exports")
        .join(name)
}

#[derive(Debug)]
pub struct PostgreSql {
    port: u16,
    database: String,
}

impl PostgreSql {
    pub async fn new(tables: &Tables) -> Self {
        let server = Postgres::shared().await;
        let new = Self {
            port: server.port,
            database: server.database(),
        };
        new.say(
            "CREATE TABLE exposures (visitor_id TEXT, agent TEXT, variation TEXT, policy TEXT, \
             exposed_at TIMESTAMPTZ, loyalty_status TEXT, device TEXT);
             CREATE TABLE events (event_id TEXT, visitor_id TEXT, event TEXT, amount NUMERIC, \
             occurred_at TIMESTAMPTZ)",
        );
        for (table, path) in [("exposures", &tables.exposures), ("events", &tables.events)] {
            new.say(&format!(
                "\\copy {table} FROM '{}' WITH (FORMAT csv, HEADER)",
                path.display()
            ));
        }
        // As any warehouse, it knows how large its tables are.
        new.say("ANALYZE");
        new
    }

    /// Writes the CSV of a run on `end_day`.
    pub fn export(&self, end_day: &str, to: &Path) {
        let settings = format!("-c sumsq.end_day={end_day} -c TimeZone={SESSION_ZONE}");
        let output = self
            .psql()
            .arg("-f")
            .arg(example("postgres.sql"))
            .env("PGOPTIONS", settings)
            .stdout(File::create(to).unwrap())
            .output()
            .unwrap();
        succeeded(&output);
    }

    /// Says SQL; what it answers, a line a row.
    pub fn say(&self, sql: &str) -> String {
        let output = self.psql().args(["-A", "-t", "-c", sql]).output().unwrap();
        succeeded(&output);
        String::from_utf8(output.stdout).unwrap()
    }

    fn psql(&self) -> Command {
        let mut psql = Command::new(testbed_path("SUMSQ_TEST_POSTGRES_BIN").join("psql"));
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1"])
            .args(["-h", "127.0.0.1", "-U", "postgres", "-d", &self.database])
            .args(["-p", &self.port.to_string()])
            .env("PGPASSWORD", PASSWORD);
        psql
    }
}

#[derive(Debug)]
pub struct DuckDb {
    folder: PathBuf,
}

impl DuckDb {
    /// Without a table.
    pub fn empty(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    pub fn new(tables: &Tables, folder: &Path) -> Self {
        let new = Self::empty(folder);
        // Doubles, which hold NaN and infinities as decimals do not.
        new.say(&format!(
            "CREATE TABLE exposures (visitor_id TEXT, agent TEXT, variation TEXT, policy TEXT, \
             exposed_at TIMESTAMPTZ, loyalty_status TEXT, device TEXT);
             CREATE TABLE events (event_id TEXT, visitor_id TEXT, event TEXT, amount DOUBLE, \
             occurred_at TIMESTAMPTZ);
             COPY exposures FROM '{}' (FORMAT csv, HEADER);
             COPY events FROM '{}' (FORMAT csv, HEADER);
             CREATE SCHEMA in_utc;
             CREATE VIEW in_utc.exposures AS SELECT * REPLACE \
             (exposed_at AT TIME ZONE 'UTC' AS exposed_at) FROM main.exposures;
             CREATE VIEW in_utc.events AS SELECT * REPLACE \
             (occurred_at AT TIME ZONE 'UTC' AS occurred_at) FROM main.events;",
            tables.exposures.display(),
            tables.events.display()
        ));
        new
    }

    pub fn export(&self, end_day: &str, to: &Path) {
        let query = fs::read_to_string(example("duckdb.sql")).unwrap();
        self.say(&format!(
            "SET TimeZone = '{SESSION_ZONE}'; SET VARIABLE end_day = DATE '{end_day}';\n{query}"
        ));
        fs::rename(self.folder.join("counts.csv"), to).unwrap();
    }

    /// Writes what another dialect's query, translated, makes of the same tables. `without_zone`:
    /// whose timestamps are UTC's and do not say so.
    pub fn export_translated(&self, query: &str, without_zone: bool, end_day: &str, to: &Path) {
        let schema = if without_zone { "in_utc" } else { "main" };
        self.say(&format!(
            "SET TimeZone = 'UTC'; SET VARIABLE end_day = DATE '{end_day}'; \
             SET search_path = '{schema}'; COPY ({query}) TO '{}' (FORMAT csv, HEADER);",
            to.display()
        ));
    }

    pub fn say(&self, sql: &str) {
        let script = "import duckdb, sys; duckdb.connect('shop.duckdb').execute(sys.argv[1])";
        let output = Command::new(testbed_path("SUMSQ_TEST_RIVALS"))
            .args(["-c", script, sql])
            .current_dir(&self.folder)
            .output()
            .unwrap();
        succeeded(&output);
    }
}

pub fn succeeded(output: &Output) {
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
