//! What is PostgreSQL's own: servers that go away, refuse, or are full.
