//! The raw resource, parsed once into the domain's data source.
