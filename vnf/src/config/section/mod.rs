//! One file per section of the configuration file: tables in, typed values with their places out.

pub(super) mod acl;
pub(super) mod interface;
pub(super) mod nat44;
pub(super) mod process;
pub(super) mod route;
