//! The management core: what the API says, how it is asked, and who answers.

pub mod api;
pub mod client;
pub mod control;
pub mod event_loop;
pub mod linux;
pub mod lists;
pub mod metrics;
pub mod nat_journal;
pub mod nat_log;
pub mod notify;
pub mod request;
pub mod socket;
pub mod statistics;
#[cfg(test)]
pub(crate) mod testing;
pub mod view;
