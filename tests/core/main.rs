//! The core, driven by hand through its public interface only, under virtual time.

mod board;
mod changes;
mod clocks;
mod cut_off;
mod episodes;
mod properties;
mod standby;
mod take_up;
mod world;
