-- Every primary and unique key begins with the source's id, and a transaction touches one source
-- only: the same shape can be sharded by it. Times are nanoseconds since 1970; days are counted
-- from 1970-01-01; ids are 16 bytes.

CREATE TABLE data_source (
    id                    BLOB    NOT NULL PRIMARY KEY,
    namespace             TEXT    NOT NULL,
    name                  TEXT    NOT NULL,
    -- Of the object that bears the name now, or bore it last.
    uid                   TEXT    NOT NULL,
    -- 0: its object is gone, its data are kept.
    present               INTEGER NOT NULL DEFAULT 1,

    cursor_schedule       TEXT,
    cursor_until          INTEGER,
    missed_fetches        INTEGER NOT NULL DEFAULT 0,
    failures              INTEGER NOT NULL DEFAULT 0,
    handled_request       TEXT,
    handled_force_request TEXT,
    last_fetch_at         INTEGER,
    last_success_at       INTEGER,
    reader                TEXT,

    -- The object whose content is held, and the spec under which it was read.
    etag                  TEXT,
    etag_fingerprint      TEXT,
    "rows"                INTEGER,
    agent_count           INTEGER NOT NULL DEFAULT 0,
    first_day             INTEGER,
    last_day              INTEGER
) WITHOUT ROWID;

-- The log of fetches; one that was begun and not completed has no outcome yet.
CREATE TABLE fetch (
    source        BLOB    NOT NULL,
    -- UUIDv7: sorts by the time it began.
    id            BLOB    NOT NULL,
    uid           TEXT    NOT NULL,
    "trigger"     TEXT    NOT NULL,
    fingerprint   TEXT    NOT NULL,
    slot          INTEGER,
    request       TEXT,
    force_request TEXT,
    started_at    INTEGER NOT NULL,
    completed_at  INTEGER,
    attempts      INTEGER NOT NULL DEFAULT 1,
    -- JSON: Imported with what the file held, NotModified, or Failed with the error.
    outcome       TEXT,
    PRIMARY KEY (source, id)
) WITHOUT ROWID;

-- Each slot of a source is fetched once: this key is what says so.
CREATE TABLE slot (
    source BLOB    NOT NULL,
    uid    TEXT    NOT NULL,
    slot   INTEGER NOT NULL,
    fetch  BLOB    NOT NULL,
    PRIMARY KEY (source, uid, slot)
) WITHOUT ROWID;

-- What agent_day holds, by agent.
CREATE TABLE agent (
    source    BLOB    NOT NULL,
    code      TEXT    NOT NULL,
    days      INTEGER NOT NULL,
    first_day INTEGER NOT NULL,
    last_day  INTEGER NOT NULL,
    PRIMARY KEY (source, code)
) WITHOUT ROWID;

-- The unit that a fetch replaces. The block's format is in docs/store.md.
CREATE TABLE agent_day (
    source BLOB    NOT NULL,
    agent  TEXT    NOT NULL,
    day    INTEGER NOT NULL,
    -- Of the block: a day whose hash is unchanged is not written.
    hash   BLOB    NOT NULL,
    block  BLOB    NOT NULL,
    PRIMARY KEY (source, agent, day)
);
