//! The core, driven by hand through its public interface under virtual time.

mod adoption;
mod board;
mod carrying;
mod causes;
mod changes;
mod clocks;
mod cut_off;
mod episodes;
mod evidence;
mod pages;
mod parents;
mod properties;
mod quality;
mod restarts;
mod silences;
mod site;
mod standby;
mod through;
mod world;
