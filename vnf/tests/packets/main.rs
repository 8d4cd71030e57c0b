//! Frames in, frames out, and exactly what was counted meanwhile.

#[path = "../common/mod.rs"]
mod common;

mod record;
mod translation;
