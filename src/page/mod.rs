//! The status page: the whole site at `/`, one connection at `/vpn/ID`, as HTML and SVG that need nothing from elsewhere.
//!
//! A [`view`] is made of the status, the problems and the past; every value in it is a text or a number. The templates put tags
//! around these, and minijinja escapes each of them: no text reaches a page as HTML. [`live`] renders a page once per change,
//! however many look at it.
//!
//! Sites may have hundreds of connections. Those with trouble come first, the first [`view::FULL_MAX`] in full; of the others there is
//! a row each, and at most [`view::ROWS_MAX`] rows.

mod address;
mod chart;
mod input;
pub mod live;
mod past;
mod prose;
mod strip;
mod template;
mod view;
mod when;

pub use input::{Input, Links, VpnLinks};
pub use past::{History, Wanted};
