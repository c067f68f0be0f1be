//! Several operators on one PostgreSQL, each a process of its own under the chart's ServiceAccount,
//! and a database that writes down who has written what.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::operator::{Operator, PATIENCE};
use crate::support::kubernetes::{Cluster, Namespace};
use crate::support::postgres::Postgres;
use crate::support::process::wait_for;

/// Notes every row that is written in the tables of a source, and every fetch that is completed,
/// with the name of the process that did it. Writers of one source wait for each other, so that its
/// notes lie in the order of the commits.
const AUDIT: &str = "
CREATE TABLE audit (number bigserial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp(),
    writer text DEFAULT current_setting('application_name'), source uuid NOT NULL);
CREATE TABLE completed (number bigserial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp(),
    writer text DEFAULT current_setting('application_name'), source uuid NOT NULL,
    \"trigger\" text NOT NULL, slot bigint, request text, outcome text NOT NULL);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit (source)
        VALUES ((to_jsonb(coalesce(NEW, OLD)) ->> TG_ARGV[0])::uuid);
    RETURN NULL;
END $$;
CREATE FUNCTION note_completed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO completed (source, \"trigger\", slot, request, outcome)
        VALUES (NEW.source, NEW.\"trigger\", NEW.slot, NEW.request, NEW.outcome);
    RETURN NULL;
END $$;
CREATE TRIGGER completed AFTER UPDATE ON \"fetch\" FOR EACH ROW
    WHEN (OLD.completed_at IS NULL AND NEW.completed_at IS NOT NULL)
    EXECUTE FUNCTION note_completed();
";

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/sumsq");

pub struct Fleet {
    pub cluster: &'static Cluster,
    pub namespace: Namespace,
    pub postgres: Postgres,
    pub database: String,
    watches_all: bool,
    members: AtomicU32,
}

impl Fleet {
    /// With a release of the chart in a namespace of its own, which its operators watch.
    pub async fn new(cluster: &'static Cluster, prefix: &str) -> Self {
        let namespace = cluster.namespace(prefix).await;
        let watched = format!("namespace={namespace}");
        install(cluster, &namespace, &[&watched]).await;
        Self::on(cluster, namespace, false).await
    }

    /// For all namespaces of a cluster of its own, in so many shards.
    pub async fn sharded(cluster: &'static Cluster, prefix: &str, shards: u32) -> Self {
        let namespace = cluster.namespace(prefix).await;
        install(cluster, &namespace, &[&format!("shards={shards}")]).await;
        Self::on(cluster, namespace, true).await
    }

    async fn on(cluster: &'static Cluster, namespace: Namespace, watches_all: bool) -> Self {
        let postgres = Postgres::start(&[]).await;
        let database = postgres.database();
        // The schema, as a first leader would make it.
        let address = postgres.socket_url(&database).parse().unwrap();
        sumsq::app::open_store(&address)
            .await
            .unwrap()
            .close()
            .await;
        postgres.say(&database, AUDIT);
        for (table, source) in [
            ("data_source", "id"),
            ("fetch", "source"),
            ("slot", "source"),
            ("agent", "source"),
            ("agent_day", "source"),
        ] {
            let trigger = format!(
                "CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON \"{table}\" \
                 FOR EACH ROW EXECUTE FUNCTION note('{source}')"
            );
            postgres.say(&database, &trigger);
        }
        Self {
            cluster,
            namespace,
            postgres,
            database,
            watches_all,
            members: AtomicU32::new(1),
        }
    }

    /// One more operator, which writes under a name of its own.
    pub async fn join(&self, flags: &[&str]) -> Member {
        let account = self.account().await;
        self.join_by(&account, flags)
    }

    /// One more, which reaches the database in a way of its own.
    pub async fn join_by_address(&self, address: &str, flags: &[&str]) -> Member {
        let account = self.account().await;
        self.join_to(address, &account, flags)
    }

    /// The same, to which the API server is at this port.
    pub async fn join_through(&self, port: u16, flags: &[&str]) -> Member {
        let account = self.account().await;
        let text = std::fs::read_to_string(&account).unwrap();
        let through = text.replace(
            &self.cluster.server_url(),
            &format!("https://127.0.0.1:{port}"),
        );
        let account = account.with_extension(port.to_string());
        std::fs::write(&account, through).unwrap();
        self.join_by(&account, flags)
    }

    /// The kubeconfig of the release's ServiceAccount.
    async fn account(&self) -> PathBuf {
        let account = self
            .cluster
            .service_account_kubeconfig(self.namespace.name(), "sumsq");
        account.await
    }

    fn join_by(&self, account: &Path, flags: &[&str]) -> Member {
        let address = self.postgres.socket_url(&self.database);
        self.join_to(&address, account, flags)
    }

    fn join_to(&self, address: &str, account: &Path, flags: &[&str]) -> Member {
        let number = self.members.fetch_add(1, Ordering::Relaxed);
        let name = format!("sumsq-{number}");
        let address = format!("{address}?application_name={name}");
        let own = [
            "--leader-election",
            "--pod-name",
            &name,
            "--store",
            &address,
        ];
        let flags = [&own[..], flags].concat();
        let operator = Operator::replica(
            self.cluster,
            &self.namespace,
            account,
            self.watches_all,
            &flags,
        );
        Member { name, operator }
    }

    /// Changes a setting of the release.
    pub async fn upgrade(&self, setting: &str) {
        let args = [
            "upgrade",
            "sumsq",
            CHART,
            "--reuse-values",
            "--set",
            setting,
            "-n",
        ];
        let args = [&args[..], &[self.namespace.name()]].concat();
        self.cluster.helm(&args).await.expect_success();
    }

    pub fn say(&self, sql: &str) -> String {
        self.postgres.say(&self.database, sql)
    }

    /// Who holds the Lease; empty where nobody does.
    pub async fn holder(&self, lease: &str) -> String {
        let path = ["-o", "jsonpath={.spec.holderIdentity}"];
        let args = ["-n", self.namespace.name(), "get", "lease", lease];
        self.cluster
            .kubectl(&[&args[..], &path].concat())
            .await
            .stdout
    }

    /// Of no source's writers one comes back after another has written.
    pub fn no_writer_comes_back(&self) {
        let back = self.say(
            "SELECT string_agg(source || ': ' || writer || ' after ' || other, ', ') FROM ( \
             SELECT source, writer, before AS other, \
             count(*) OVER (PARTITION BY source, writer) AS turns \
             FROM (SELECT source, writer, number, lag(writer) OVER (PARTITION BY source \
             ORDER BY number) AS before FROM audit) AS notes \
             WHERE before IS DISTINCT FROM writer) AS turns WHERE turns > 1",
        );
        assert_eq!(back, "", "two writers at a time");
    }

    /// No slot and no request was fetched twice, and no slot between the first and the last of a
    /// source is missing; how many slots there were.
    pub fn each_slot_and_request_once(&self) -> u32 {
        let twice = self.say(
            "SELECT string_agg(source || ' ' || what || ' ' || times, ', ') FROM ( \
             SELECT source, coalesce(request, slot::text) AS what, count(*) AS times \
             FROM completed WHERE coalesce(request, slot::text) IS NOT NULL \
             GROUP BY 1, 2) AS counted WHERE times <> 1",
        );
        assert_eq!(twice, "", "fetched twice");
        let unfinished = "SELECT count(*) FROM \"fetch\" WHERE completed_at IS NULL";
        assert_eq!(self.say(unfinished), "0");
        let unfetched = "SELECT count(*) FROM slot WHERE NOT EXISTS (SELECT FROM completed \
             WHERE completed.source = slot.source AND completed.slot = slot.slot)";
        assert_eq!(
            self.say(unfetched),
            "0",
            "slots that were claimed and not fetched"
        );
        let missing = "SELECT count(*) FROM (SELECT source, count(*) AS slots, \
             1 + (max(slot) - min(slot)) / 60000000000 AS minutes FROM slot GROUP BY source) \
             AS counted WHERE slots <> minutes";
        assert_eq!(self.say(missing), "0", "sources that have lost a slot");
        assert_eq!(self.say("SELECT sum(missed_fetches) FROM data_source"), "0");
        self.say("SELECT count(*) FROM slot").parse().unwrap()
    }
}

async fn install(cluster: &Cluster, namespace: &Namespace, settings: &[&str]) {
    let settings = [
        &["postgres.existingSecret=db", "crds.install=false"],
        settings,
    ]
    .concat();
    let settings = settings.join(",");
    let args = ["install", "sumsq", CHART, "--set", &settings, "-n"];
    let args = [&args[..], &[namespace.name()]].concat();
    cluster.helm(&args).await.expect_success();
}

/// One operator of several.
pub struct Member {
    pub name: String,
    pub operator: Operator,
}

impl Member {
    pub async fn leads(&self) -> bool {
        self.operator.metric("sumsq_leader{").await == 1
    }

    /// Waits until it does the work, and has listed what there is: how long after `since`.
    pub async fn leads_since(&self, since: Instant) -> Duration {
        let what = format!("{} to lead", self.name);
        wait_for(&what, PATIENCE, async || self.leads().await.then_some(())).await;
        let took = since.elapsed();
        self.operator.is_ready().await;
        took
    }
}
