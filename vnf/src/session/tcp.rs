//! TCP connection tracking for the choice of timeout (RFC 5382 REQ-5, RFC 7857 section 2): no window is tracked,
//! and no single segment can end a session, so a forged one cannot either.

use crate::engine::meta::Direction;

/// FIN flag.
pub const FIN: u8 = 0x01;
/// SYN flag.
pub const SYN: u8 = 0x02;
/// RST flag.
pub const RST: u8 = 0x04;
/// PSH flag.
pub const PSH: u8 = 0x08;
/// ACK flag.
pub const ACK: u8 = 0x10;
/// URG flag.
pub const URG: u8 = 0x20;

/// The flags that can move the state.
pub const CONTROL: u8 = FIN | SYN | RST;

/// The flags that tell a first SYN from every other segment.
pub const CONTROL_AND_ACK: u8 = CONTROL | ACK;

/// Where a TCP connection is, as far as its timeout depends on it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum TcpState {
    /// Not TCP.
    #[default]
    None = 0,
    /// A SYN went out, nothing came back.
    SynOutbound = 1,
    /// A SYN came in, nothing went back.
    SynInbound = 2,
    /// SYNs in both directions.
    Established = 3,
    /// A FIN went out.
    FinOutbound = 4,
    /// A FIN came in.
    FinInbound = 5,
    /// FINs in both directions.
    Closing = 6,
    /// A RST was seen; anything but another RST revives the session (RFC 7857 section 2.2).
    Reset = 7,
}

impl TcpState {
    /// The state after a first SYN in this direction.
    pub fn opened_by(direction: Direction) -> Self {
        if direction == Direction::Outbound { Self::SynOutbound } else { Self::SynInbound }
    }

    #[inline]
    pub(super) fn from_u8(value: u8) -> Self {
        match value & 7 {
            1 => Self::SynOutbound,
            2 => Self::SynInbound,
            3 => Self::Established,
            4 => Self::FinOutbound,
            5 => Self::FinInbound,
            6 => Self::Closing,
            7 => Self::Reset,
            _ => Self::None,
        }
    }

    /// Whether the transitory timeout applies rather than the established one.
    #[inline]
    pub fn transitory(self) -> bool {
        !matches!(self, Self::Established | Self::FinOutbound | Self::FinInbound)
    }

    /// The state after a segment.
    #[inline]
    pub fn after(self, direction: Direction, flags: u8) -> Self {
        use TcpState::*;
        let outbound = direction == Direction::Outbound;
        let control = flags & CONTROL;
        if self == Established && control == 0 {
            return self;
        }
        match (self, control) {
            (None, _) => None,
            (SynOutbound, SYN) if !outbound => Established,
            (SynInbound, SYN) if outbound => Established,
            // Nothing to tear down yet; the transitory timeout already runs.
            (SynOutbound | SynInbound, _) => self,
            (_, RST) => Reset,
            (Established, FIN) => {
                if outbound {
                    FinOutbound
                } else {
                    FinInbound
                }
            }
            (FinOutbound, FIN) if !outbound => Closing,
            (FinInbound, FIN) if outbound => Closing,
            // The endpoints may use the tuple again at once (RFC 9293 3.10.7.4, TIME-WAIT).
            (Closing | Reset, SYN) if flags & ACK == 0 => Self::opened_by(direction),
            (Reset, _) => Established,
            _ => self,
        }
    }

    /// The state's name in `show sessions`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "active",
            Self::SynOutbound => "syn-sent",
            Self::SynInbound => "syn-received",
            Self::Established => "established",
            Self::FinOutbound => "fin-sent",
            Self::FinInbound => "fin-received",
            Self::Closing => "closing",
            Self::Reset => "reset",
        }
    }
}

/// Whether a connection can use this combination of flags (the low six bits).
#[inline]
pub fn flags_valid(flags: u8) -> bool {
    const VALID: u64 = {
        let mut valid = 0;
        let mut flags = 0u8;
        while flags < 64 {
            let control =
                (flags & FIN != 0) as u8 + (flags & SYN != 0) as u8 + (flags & RST != 0) as u8;
            // A segment without ACK is a first SYN or a RST (RFC 9293 3.10.7).
            let anchored = flags & (ACK | SYN | RST) != 0;
            if control <= 1 && anchored {
                valid |= 1 << flags;
            }
            flags += 1;
        }
        valid
    };
    VALID >> (flags & 63) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Inbound, Outbound};

    fn walk(steps: &[(Direction, u8)]) -> TcpState {
        let mut state = TcpState::opened_by(steps[0].0);
        for (direction, flags) in &steps[1..] {
            state = state.after(*direction, *flags);
        }
        state
    }

    #[test]
    fn handshake_and_close_pass_through_the_states() {
        let open = [(Outbound, SYN), (Inbound, SYN | ACK), (Outbound, ACK)];
        assert_eq!(walk(&open), TcpState::Established);
        let mut half = open.to_vec();
        half.push((Inbound, FIN | ACK));
        assert_eq!(walk(&half), TcpState::FinInbound);
        assert!(!walk(&half).transitory());
        half.push((Outbound, FIN | ACK));
        assert_eq!(walk(&half), TcpState::Closing);
        assert!(walk(&half).transitory());
        half.push((Outbound, SYN));
        assert_eq!(walk(&half), TcpState::SynOutbound);
    }

    #[test]
    fn simultaneous_open_is_established() {
        assert_eq!(walk(&[(Outbound, SYN), (Inbound, SYN)]), TcpState::Established);
    }

    #[test]
    fn data_after_a_reset_revives_the_session() {
        let reset = [(Outbound, SYN), (Inbound, SYN | ACK), (Inbound, RST)];
        assert_eq!(walk(&reset), TcpState::Reset);
        assert!(walk(&reset).transitory());
        let mut revived = reset.to_vec();
        revived.push((Outbound, ACK));
        assert_eq!(walk(&revived), TcpState::Established);
    }

    #[test]
    fn a_reset_or_fin_before_the_answer_changes_nothing() {
        assert_eq!(walk(&[(Outbound, SYN), (Inbound, RST | ACK)]), TcpState::SynOutbound);
        assert_eq!(walk(&[(Outbound, SYN), (Outbound, FIN | ACK)]), TcpState::SynOutbound);
    }

    #[test]
    fn impossible_flags_are_told_apart() {
        for bad in [0, FIN, SYN | FIN, SYN | RST, FIN | RST | ACK, FIN | PSH | URG, PSH, URG] {
            assert!(!flags_valid(bad), "{bad:#x}");
        }
        for good in [SYN, SYN | ACK, ACK, ACK | PSH, FIN | ACK, RST, RST | ACK, ACK | URG] {
            assert!(flags_valid(good), "{good:#x}");
        }
    }
}
