mod agents;
mod data_sources;
mod namespaces;
