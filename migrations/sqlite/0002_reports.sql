-- What reports need beside the data: the spec in the words of the reports (JSON), when the data
-- that are held were fetched, and a number that every change of what a report shows raises.
ALTER TABLE data_source ADD COLUMN description TEXT;
ALTER TABLE data_source ADD COLUMN imported_at INTEGER;
ALTER TABLE data_source ADD COLUMN version INTEGER NOT NULL DEFAULT 1;

-- Stores of before: the newest import that the log knows.
UPDATE data_source SET imported_at = (
    SELECT max(completed_at) FROM fetch
    WHERE fetch.source = data_source.id AND outcome LIKE '{"Imported"%'
);

-- People ask for a source by its name.
CREATE INDEX data_source_by_name ON data_source (namespace, name);

-- Agent resources; a small table of its own, since one may speak of several sources.
CREATE TABLE agent_resource (
    namespace  TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    uid        TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    -- JSON.
    agent      TEXT    NOT NULL,
    PRIMARY KEY (namespace, name)
) WITHOUT ROWID;
