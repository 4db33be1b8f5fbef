//! What goes out to CloudWatch, when, and in what order.

pub mod sink;
