-- As migrations/sqlite, in PostgreSQL's types. Every primary and unique key begins with the
-- source's id, and a transaction touches one source only: the tables can be distributed by it
-- (docs/scale.md). No sequence, no foreign key. Times are nanoseconds since 1970; days are counted
-- from 1970-01-01. Codes are compared byte by byte, whatever the database's collation.

CREATE TABLE data_source (
    id                    UUID    NOT NULL PRIMARY KEY,
    namespace             TEXT    COLLATE "C" NOT NULL,
    name                  TEXT    COLLATE "C" NOT NULL,
    -- Of the object that bears the name now, or bore it last.
    uid                   TEXT    COLLATE "C" NOT NULL,
    -- False: its object is gone, its data are kept.
    present               BOOLEAN NOT NULL DEFAULT TRUE,

    cursor_schedule       TEXT,
    cursor_until          BIGINT,
    missed_fetches        BIGINT  NOT NULL DEFAULT 0,
    failures              BIGINT  NOT NULL DEFAULT 0,
    handled_request       TEXT,
    handled_force_request TEXT,
    last_fetch_at         BIGINT,
    last_success_at       BIGINT,
    reader                TEXT,

    -- The object whose content is held, when it was fetched, and the spec under which it was read.
    etag                  TEXT,
    etag_fingerprint      TEXT,
    imported_at           BIGINT,
    "rows"                BIGINT,
    agent_count           BIGINT  NOT NULL DEFAULT 0,
    first_day             INTEGER,
    last_day              INTEGER,

    -- The spec in the words of the reports (JSON), and a number that every change of what a report
    -- shows raises.
    description           TEXT,
    version               BIGINT  NOT NULL DEFAULT 1
);

-- People ask for a source by its name.
CREATE INDEX data_source_by_name ON data_source (namespace, name);

-- The log of fetches; one that was begun and not completed has no outcome yet.
CREATE TABLE "fetch" (
    source        UUID   NOT NULL,
    -- UUIDv7: sorts by the time it began.
    id            UUID   NOT NULL,
    uid           TEXT   COLLATE "C" NOT NULL,
    "trigger"     TEXT   NOT NULL,
    fingerprint   TEXT   NOT NULL,
    slot          BIGINT,
    request       TEXT,
    force_request TEXT,
    started_at    BIGINT NOT NULL,
    completed_at  BIGINT,
    attempts      BIGINT NOT NULL DEFAULT 1,
    -- JSON: Imported with what the file held, NotModified, or Failed with the error.
    outcome       TEXT,
    PRIMARY KEY (source, id)
);

-- Each slot of a source is fetched once: this key is what says so.
CREATE TABLE slot (
    source UUID   NOT NULL,
    uid    TEXT   COLLATE "C" NOT NULL,
    slot   BIGINT NOT NULL,
    "fetch" UUID   NOT NULL,
    PRIMARY KEY (source, uid, slot)
);

-- What agent_day holds, by agent.
CREATE TABLE agent (
    source    UUID    NOT NULL,
    code      TEXT    COLLATE "C" NOT NULL,
    days      BIGINT  NOT NULL,
    first_day INTEGER NOT NULL,
    last_day  INTEGER NOT NULL,
    PRIMARY KEY (source, code)
);

-- The unit that a fetch replaces. The block's format is in docs/store.md.
CREATE TABLE agent_day (
    source UUID    NOT NULL,
    agent  TEXT    COLLATE "C" NOT NULL,
    day    INTEGER NOT NULL,
    -- Of the block: a day whose hash is unchanged is not written.
    hash   BYTEA   NOT NULL,
    block  BYTEA   NOT NULL,
    PRIMARY KEY (source, agent, day)
);
-- A block is compact as it is: to compress it again takes time and saves little.
ALTER TABLE agent_day ALTER COLUMN block SET STORAGE EXTERNAL;

-- Agent resources; a small table of its own, since one may speak of several sources.
CREATE TABLE agent_resource (
    namespace  TEXT   COLLATE "C" NOT NULL,
    name       TEXT   COLLATE "C" NOT NULL,
    uid        TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    -- JSON.
    agent      TEXT   NOT NULL,
    PRIMARY KEY (namespace, name)
);
