//! The management core: what the API says, how it is asked, and who answers.

pub mod event_loop;
pub mod metrics;
pub mod notify;
pub mod request;
pub mod view;
