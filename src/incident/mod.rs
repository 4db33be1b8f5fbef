//! Bringing the sinks' records into line with the Board.

pub mod sink;
