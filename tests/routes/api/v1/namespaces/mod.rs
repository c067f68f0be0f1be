mod agents;
mod counts_csv;
mod data_sources;
