//! What lets the tables be spread over many machines by source (docs/scale.md).

use sumsq::store::Store;
use sumsq::store::postgres::Postgres;

use crate::support::postgres::Postgres as Server;

/// Every table of a source's, and its column of the source's id.
const BY_SOURCE: [(&str, &str); 5] = [
    ("data_source", "id"),
    ("fetch", "source"),
    ("slot", "source"),
    ("agent", "source"),
    ("agent_day", "source"),
];

#[tokio::test]
async fn the_story_is_the_same_where_tables_are_cut_by_source() {
    let server = Server::shared().await;
    let database = server.database();
    let store = Postgres::open(&server.url(&database)).await.unwrap();
    // PostgreSQL's own partitions ask of keys what a distributed PostgreSQL does: that each holds
    // the column by which rows are spread.
    server.say(
        &database,
        "CREATE TABLE touched (transaction xid8, source uuid); \
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO touched VALUES (pg_current_xact_id(), (to_jsonb(coalesce(NEW, OLD)) \
         ->> TG_ARGV[0])::uuid); RETURN NULL; END $$",
    );
    for (table, source) in BY_SOURCE {
        let parts = (0..4).map(|part| {
            format!(
                "CREATE TABLE {table}_{part} PARTITION OF \"{table}\" \
                 FOR VALUES WITH (MODULUS 4, REMAINDER {part});"
            )
        });
        let sql = format!(
            "ALTER TABLE \"{table}\" RENAME TO whole; \
             CREATE TABLE \"{table}\" (LIKE whole INCLUDING ALL) PARTITION BY HASH ({source}); \
             DROP TABLE whole; \
             CREATE TRIGGER touched AFTER INSERT OR UPDATE OR DELETE ON \"{table}\" \
             FOR EACH ROW EXECUTE FUNCTION touch('{source}'); {}",
            parts.collect::<String>()
        );
        server.say(&database, &sql);
    }
    // In a term, as one of several replicas writes.
    store.begin_term().await.unwrap();
    crate::story::tell(&store).await;
    let sources = "SELECT max(sources) FROM (SELECT count(DISTINCT source) AS sources \
                   FROM touched GROUP BY transaction) AS by_transaction";
    assert_eq!(
        server.say(&database, sources),
        "1",
        "one transaction, one source"
    );
    let transactions = server.say(&database, "SELECT count(DISTINCT transaction) FROM touched");
    assert!(transactions.parse::<u32>().unwrap() > 100, "{transactions}");
}

#[tokio::test]
async fn every_key_begins_with_the_source_and_nothing_is_shared() {
    let server = Server::shared().await;
    let database = server.database();
    Postgres::open(&server.url(&database))
        .await
        .unwrap()
        .close()
        .await;
    let keys = "SELECT relname || ' ' || attname FROM pg_index \
         JOIN pg_class ON pg_class.oid = indrelid \
         JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0] \
         WHERE indisunique AND relnamespace = 'public'::regnamespace ORDER BY 1";
    insta::assert_snapshot!(server.say(&database, keys), @r"
    _sqlx_migrations version
    agent source
    agent_day source
    agent_resource namespace
    agent_term namespace
    data_source id
    fetch source
    slot source
    ");
    let shared = "SELECT (SELECT count(*) FROM pg_constraint WHERE contype = 'f'), \
         (SELECT count(*) FROM pg_sequences)";
    assert_eq!(server.say(&database, shared), "0|0");
}
