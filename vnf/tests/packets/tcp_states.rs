//! TCP through NAT and through a plain firewall: which segments open, move and end a session, and which cannot.

use std::net::IpAddr;

use vnf::engine::meta::{Family, FlowKey};
use vnf::session::tcp::TcpState;

use crate::common::*;

/// A host that talks to a server through the VNF.
struct Connection {
    vnf: Harness,
    near: &'static str,
    far: &'static str,
    /// From the host.
    out: Packet,
    /// The same as the server sees it, once it was sent.
    seen: Packet,
}

impl Connection {
    /// Nothing was sent yet.
    fn none(kind: &str, workers: usize) -> Self {
        let (config, near, far, host, server) = match kind {
            "nat44" => ("nat44.toml", "lan", "wan", "10.0.0.2:5000", "203.0.113.7:443"),
            "ipv4" => ("firewall.toml", "left", "right", "10.1.0.2:5000", "192.0.2.2:443"),
            _ => ("firewall.toml", "left", "right", "[fd00:a::2]:5000", "[fd00:b::2]:443"),
        };
        let out = tcp(host, server, "S");
        Self { vnf: Harness::new(config, workers), near, far, seen: out.clone(), out }
    }

    /// Another connection, of the host's next port.
    fn renew(&mut self) {
        self.vnf.discard();
        let mut host = self.out.source();
        host.set_port(host.port() + 1);
        self.out = self.out.from(host);
        self.vnf.forget_counts();
    }

    fn open(&mut self) {
        self.vnf.send(self.near, &self.out);
        self.seen = match self.near {
            "lan" => self.out.from(self.vnf.expect_translated(self.far, &self.out)),
            _ => {
                self.vnf.expect(self.far, &self.out);
                self.out.clone()
            }
        };
        self.vnf.forget_counts();
    }

    /// Sends these segments, which all pass: `>` for one of the host's, `<` for one of the server's.
    fn walk(&mut self, segments: &[(char, &'static str)]) {
        self.open();
        for (from, flags) in segments {
            self.passes(*from, flags);
        }
    }

    fn after(kind: &str, workers: usize, segments: &[(char, &'static str)]) -> Self {
        let mut this = Self::none(kind, workers);
        this.walk(segments);
        this
    }

    fn send(&mut self, from: char, flags: &'static str) {
        match from {
            '>' => self.vnf.send(self.near, &self.out.flags(flags)),
            _ => self.vnf.send(self.far, &self.seen.reply().flags(flags)),
        }
    }

    fn passes(&mut self, from: char, flags: &'static str) {
        self.send(from, flags);
        match from {
            '>' => self.vnf.expect(self.far, &self.seen.flags(flags)),
            _ => self.vnf.expect(self.near, &self.out.reply().flags(flags)),
        }
        self.vnf.forget_counts();
    }

    fn state(&self) -> Option<TcpState> {
        let (host, server) = (self.out.source(), self.out.destination());
        let words = |address: IpAddr| match address {
            IpAddr::V4(address) => [address.to_bits(), 0, 0, 0],
            IpAddr::V6(address) => {
                std::array::from_fn(|at| (address.to_bits() >> (96 - 32 * at)) as u32)
            }
        };
        let key = FlowKey {
            source: words(host.ip()),
            destination: words(server.ip()),
            source_port: host.port(),
            destination_port: server.port(),
            protocol: 6,
            family: if host.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 },
            ..FlowKey::default()
        };
        let states = self.vnf.workers.iter().filter_map(|worker| {
            let sessions = &worker.pipeline.flows.sessions;
            sessions.find_one(&key).map(|(id, _)| sessions.session(id).tcp_state())
        });
        let states: Vec<_> = states.collect();
        assert!(states.len() < 2, "one connection has one session");
        states.first().copied()
    }
}

const KINDS: [&str; 3] = ["nat44", "ipv4", "ipv6"];

/// All combinations of `SAFRPU`.
fn combinations() -> impl Iterator<Item = &'static str> {
    (0..64).map(|bits| {
        let letters = "SAFRPU".chars().enumerate();
        let flags: String =
            letters.filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, letter)| letter).collect();
        &*flags.leak()
    })
}

/// RFC 9293 3.10.7: at most one of SYN, FIN and RST, and no segment but a SYN or a RST is without ACK.
fn possible(flags: &str) -> bool {
    let control = flags.chars().filter(|flag| "SFR".contains(*flag)).count();
    control <= 1 && flags.contains(['S', 'R', 'A'])
}

/// Segments that lead to each state; the host is the one that opened.
const WAYS: [(&[(char, &str)], TcpState); 6] = [
    (&[], TcpState::SynOutbound),
    (&[('<', "SA"), ('>', "A")], TcpState::Established),
    (&[('<', "SA"), ('>', "FA")], TcpState::FinOutbound),
    (&[('<', "SA"), ('<', "FA")], TcpState::FinInbound),
    (&[('<', "SA"), ('<', "FA"), ('>', "FA")], TcpState::Closing),
    (&[('<', "SA"), ('<', "R")], TcpState::Reset),
];

#[test]
fn of_all_combinations_of_flags_only_a_first_syn_opens_a_session() {
    for kind in KINDS {
        let mut connection = Connection::none(kind, 1);
        for flags in combinations() {
            connection.renew();
            connection.send('>', flags);
            let opens = possible(flags) && flags.contains('S') && !flags.contains('A');
            assert_eq!(connection.state().is_some(), opens, "{kind} {flags}");
            if !opens {
                let reason = if possible(flags) { "tcp-not-syn" } else { "tcp-bad-flags" };
                connection.vnf.counted([reason]);
            }
        }
    }
}

#[test]
fn of_all_combinations_of_flags_none_comes_in_by_itself() {
    for (kind, possible_reason) in
        [("nat44", "nat-no-mapping"), ("ipv4", "acl-denied"), ("ipv6", "acl-denied")]
    {
        let mut connection = Connection::none(kind, 1);
        for flags in combinations() {
            connection.renew();
            let mut segment = connection.out.reply().flags(flags);
            if kind == "nat44" {
                segment = segment.to("198.51.100.10:5000");
            }
            connection.vnf.send(connection.far, &segment);
            let reason = if possible(flags) { possible_reason } else { "tcp-bad-flags" };
            connection.vnf.counted([reason]);
            assert_eq!(connection.state(), None);
        }
    }
}

#[test]
fn in_every_state_impossible_flags_are_dropped_and_change_nothing() {
    for kind in KINDS {
        let mut connection = Connection::none(kind, 1);
        for (way, state) in WAYS {
            connection.renew();
            connection.walk(way);
            assert_eq!(connection.state(), Some(state), "{kind}");
            for flags in combinations().filter(|flags| !possible(flags)) {
                for from in ['>', '<'] {
                    connection.send(from, flags);
                    connection.vnf.counted(["tcp-bad-flags"]);
                    assert_eq!(connection.state(), Some(state), "{kind} {from}{flags}");
                }
            }
        }
    }
}

#[test]
fn in_every_state_possible_flags_pass_and_lead_where_they_should() {
    use TcpState::*;
    for kind in KINDS {
        let mut connection = Connection::none(kind, 1);
        for (way, before) in WAYS {
            for (flags, from) in ["S", "SA", "A", "AP", "FA", "R", "RA"]
                .iter()
                .flat_map(|flags| ['>', '<'].map(|from| (*flags, from)))
            {
                connection.renew();
                connection.walk(way);
                connection.passes(from, flags);
                let control = flags.trim_matches(['A', 'P']);
                let after = match (before, control, from) {
                    (SynOutbound, "S", '<') => Established,
                    (SynOutbound, ..) => SynOutbound,
                    (_, "R", _) => Reset,
                    (Closing | Reset, "S", _) if flags == "S" => {
                        if from == '>' {
                            SynOutbound
                        } else {
                            SynInbound
                        }
                    }
                    (Reset, ..) => Established,
                    (Established, "F", '>') => FinOutbound,
                    (Established, "F", _) => FinInbound,
                    (FinOutbound, "F", '<') | (FinInbound, "F", '>') => Closing,
                    _ => before,
                };
                assert_eq!(connection.state(), Some(after), "{kind} {before:?} {from}{flags}");
            }
        }
    }
}

#[test]
fn a_blind_reset_is_forwarded_and_the_next_data_brings_the_connection_back() {
    for_workers(|workers| {
        for kind in KINDS {
            for from in ['>', '<'] {
                let open = [('<', "SA"), ('>', "A")];
                let mut connection = Connection::after(kind, workers, &open);
                connection.passes(from, "R");
                assert_eq!(connection.state(), Some(TcpState::Reset));
                connection.passes('>', "A");
                connection.vnf.advance(seconds(7400));
                assert_eq!(connection.state(), Some(TcpState::Established));
                connection.passes(from, "R");
                connection.vnf.advance(seconds(245));
                assert_eq!(connection.state(), None, "both ends were silent");
            }
        }
    });
}

#[test]
fn a_reset_that_answers_a_syn_wrongly_leaves_the_handshake_alone() {
    for_workers(|workers| {
        for kind in KINDS {
            let mut connection = Connection::after(kind, workers, &[('<', "RA")]);
            assert_eq!(connection.state(), Some(TcpState::SynOutbound));
            connection.passes('<', "SA");
            connection.passes('>', "A");
            assert_eq!(connection.state(), Some(TcpState::Established));
        }
    });
}
