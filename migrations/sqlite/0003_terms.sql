-- Who writes, where one of several replicas leads (docs/scale.md): the term in which a source was
-- last written refuses every writer of an earlier one.
ALTER TABLE data_source ADD COLUMN term INTEGER NOT NULL DEFAULT 0;

-- The same for the Agent resources of a namespace; small, as agent_resource is.
CREATE TABLE agent_term (
    namespace TEXT    NOT NULL,
    term      INTEGER NOT NULL,
    PRIMARY KEY (namespace)
) WITHOUT ROWID;

-- One row, which belongs to no source: changed once for each leadership, in a transaction of its own.
CREATE TABLE newest_term (
    term INTEGER NOT NULL
);
INSERT INTO newest_term (term) VALUES (0);
