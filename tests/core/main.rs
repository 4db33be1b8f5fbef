//! The core, driven by hand through its public interface only, under virtual time.

mod episodes;
mod properties;
mod world;
