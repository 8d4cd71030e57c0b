//! Where packets go next.

pub mod route_table;
