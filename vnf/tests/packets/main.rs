//! Frames in, frames out, and exactly what was counted meanwhile.

#[path = "../common/mod.rs"]
mod common;

mod access;
mod allocation;
mod bypass;
mod checksums;
mod echo;
mod filtering;
mod fixed;
mod forged;
mod fragments;
mod hairpin;
mod icmp_errors;
mod icmp_rules;
mod journal;
mod limits;
mod linux;
mod local;
mod matching;
mod neighbors;
mod record;
mod refusals;
mod reload;
mod routes;
mod routing;
mod rule_changes;
mod rule_log;
mod sources;
mod tcp_states;
mod timeouts;
mod translation;
mod vrfs;
mod who;
