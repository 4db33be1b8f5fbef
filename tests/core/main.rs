//! The core, driven by hand through its public interface only, under virtual time.

mod changes;
mod episodes;
mod properties;
mod world;
