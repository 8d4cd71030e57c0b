//! One behaviour a file, seen from the kernel's side of two taps.
#![forbid(unsafe_code)]

mod acl_deny;
mod acl_reject;
mod arp_scan;
mod bad_config;
mod balance;
mod duplicate_address;
mod examples;
mod far_side;
mod forwards;
mod fragments;
mod generator;
mod generator_ports;
mod hairpin;
mod hugepages;
mod ipv6;
mod kill;
mod large_ping;
mod link;
mod nat_behaviour;
mod nat_stateful;
mod neighbor_states;
mod ping;
mod reload;
mod second_instance;
mod show_link;
mod steady_load;
mod tcp;
mod termination;
mod ttl;
mod udp;
mod unsolicited;
mod workers;
