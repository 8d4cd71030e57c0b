//! What a capture file has to replay.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddrV4};

use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError};

use crate::frame::{ETHERNET, IPV4};
use crate::probe::Protocol;

/// The packets of a file that can be sent, and the conversations that they belong to.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    /// In the order of the file.
    pub packets: Vec<Recorded>,
    /// In the order of their beginnings.
    pub conversations: Vec<Conversation>,
    /// Packets that cannot be sent, by why.
    pub skipped: BTreeMap<&'static str, u64>,
}

/// A TCP, UDP or ICMP echo packet of IPv4.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Nanoseconds after the first packet of the file.
    pub time: u64,
    /// Number of its conversation.
    pub conversation: usize,
    /// Whether it comes from whoever began the conversation.
    pub outward: bool,
    /// The packet from its IP header on, without Ethernet padding.
    pub octets: Vec<u8>,
}

/// Two endpoints that talk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Conversation {
    /// Of what.
    pub protocol: Protocol,
    /// Who began; an ICMP query's identifier stands in the port's place.
    pub client: SocketAddrV4,
    /// The other one.
    pub server: SocketAddrV4,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Neither pcap nor pcapng, or damaged.
    #[error("no capture file, or a damaged one: {0}")]
    Format(#[from] PcapError),
    /// Frames that are not Ethernet's.
    #[error("its frames are {0:?}: only Ethernet can be replayed")]
    Link(DataLink),
}

impl Capture {
    /// Reads a pcap or pcapng file.
    pub fn read(mut file: impl Read) -> Result<Self, CaptureError> {
        let mut octets = Vec::new();
        file.read_to_end(&mut octets).map_err(PcapError::IoError)?;
        let mut capture = Self::default();
        let mut known = HashMap::new();
        let mut first = None;
        let mut add = |time: u64, original: u32, data: &[u8]| {
            let start = *first.get_or_insert(time);
            capture.add(&mut known, time.saturating_sub(start), original as usize, data);
        };
        if octets.starts_with(&PCAPNG) {
            let mut reader = PcapNgReader::new(&octets[..])?;
            while let Some(block) = reader.next_block() {
                let Block::EnhancedPacket(packet) = block? else { continue };
                let packet = packet.into_owned();
                let link = reader.packet_interface(&packet).map(|interface| interface.linktype);
                if let Some(link) = link.filter(|link| *link != DataLink::ETHERNET) {
                    return Err(CaptureError::Link(link));
                }
                add(packet.timestamp.as_nanos() as u64, packet.original_len, &packet.data);
            }
        } else {
            let mut reader = PcapReader::new(&octets[..])?;
            let link = reader.header().datalink;
            if link != DataLink::ETHERNET {
                return Err(CaptureError::Link(link));
            }
            while let Some(packet) = reader.next_packet() {
                let packet = packet?;
                add(packet.timestamp.as_nanos() as u64, packet.orig_len, &packet.data);
            }
        }
        Ok(capture)
    }

    fn add(
        &mut self,
        known: &mut HashMap<(Protocol, SocketAddrV4, SocketAddrV4), usize>,
        time: u64,
        original: usize,
        frame: &[u8],
    ) {
        let (protocol, from, to, octets) = match read(frame, original) {
            Ok(found) => found,
            Err(why) => {
                *self.skipped.entry(why).or_default() += 1;
                return;
            }
        };
        let known_as = known.get(&(protocol, from, to)).map(|number| (*number, true));
        let known_as = known_as.or(known.get(&(protocol, to, from)).map(|number| (*number, false)));
        let (conversation, outward) = match known_as {
            Some(known) => known,
            // A reply begins nothing that a translator could know.
            None if is_reply(protocol, octets) => {
                *self.skipped.entry("of conversations that began before the file").or_default() +=
                    1;
                return;
            }
            None => {
                let number = self.conversations.len();
                self.conversations.push(Conversation { protocol, client: from, server: to });
                known.insert((protocol, from, to), number);
                (number, true)
            }
        };
        let octets = octets.to_vec();
        self.packets.push(Recorded { time, conversation, outward, octets });
    }
}

/// Protocol, source, destination and octets of a packet that can be sent; or why it cannot.
fn read(
    frame: &[u8],
    original: usize,
) -> Result<(Protocol, SocketAddrV4, SocketAddrV4, &[u8]), &'static str> {
    if frame.len() < original {
        return Err("cut by the capture");
    }
    let ip = match frame.get(12..14) {
        Some([8, 0]) => &frame[ETHERNET..],
        _ => return Err("not IPv4"),
    };
    let header = ip.first_chunk::<IPV4>().ok_or("damaged")?;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let octets = ip.get(..total).ok_or("damaged")?;
    if header[0] != 0x45 {
        return Err("with IP options");
    }
    if u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0 {
        return Err("fragments");
    }
    let body = octets.get(IPV4..).and_then(<[u8]>::first_chunk::<8>).ok_or("damaged")?;
    let word = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let (protocol, ports) = match (header[9], body[0]) {
        (1, 8) => (Protocol::Icmp, (word(4), 0)),
        (1, 0) => (Protocol::Icmp, (0, word(4))),
        (6, _) => (Protocol::Tcp, (word(0), word(2))),
        (17, _) => (Protocol::Udp, (word(0), word(2))),
        _ => return Err("neither TCP, UDP nor ICMP echo"),
    };
    let least = if protocol == Protocol::Tcp { IPV4 + 20 } else { IPV4 + 8 };
    if octets.len() < least {
        return Err("damaged");
    }
    let address = |at: usize| Ipv4Addr::from([0, 1, 2, 3].map(|i| header[at + i]));
    let (from, to) =
        (SocketAddrV4::new(address(12), ports.0), SocketAddrV4::new(address(16), ports.1));
    Ok((protocol, from, to, octets))
}

/// Whether a packet cannot begin a conversation: an echo reply, or a TCP segment that is no SYN.
fn is_reply(protocol: Protocol, octets: &[u8]) -> bool {
    match protocol {
        Protocol::Icmp => octets[IPV4] == 0,
        Protocol::Tcp => octets[IPV4 + 13] & 0x12 != 0x02,
        Protocol::Udp => false,
    }
}

/// The block type that begins a pcapng file.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{ACK, Frame, SYN};
    use pcap_file::pcap::{PcapPacket, PcapWriter};
    use std::time::Duration;

    fn endpoint(text: &str) -> std::net::SocketAddr {
        text.parse().unwrap()
    }

    fn file(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut writer = PcapWriter::new(Vec::new()).unwrap();
        for (number, frame) in frames.iter().enumerate() {
            let time = Duration::from_millis(number as u64 * 10);
            let packet = PcapPacket::new(time, frame.len() as u32, frame);
            writer.write_packet(&packet).unwrap();
        }
        writer.into_writer()
    }

    #[test]
    fn conversations_are_found_and_whoever_began_them_is_the_client() {
        let (a, b) = (endpoint("192.168.7.2:40000"), endpoint("93.184.216.34:80"));
        let frames = [
            Frame::tcp(b, a, ACK).build(),
            Frame::tcp(a, b, SYN).build(),
            Frame::tcp(b, a, SYN | ACK).build(),
            Frame::udp(b, a).payload(b"hello").build(),
            Frame::echo(a.ip(), b.ip(), 7, 1).build(),
            Frame::echo_reply(b.ip(), a.ip(), 7, 1).build(),
            vec![0xff; 60],
        ];
        let capture = Capture::read(&file(&frames)[..]).unwrap();
        assert_eq!((capture.packets.len(), capture.conversations.len()), (5, 3));
        let ways: Vec<_> = capture.packets.iter().map(|p| (p.conversation, p.outward)).collect();
        assert_eq!(ways, [(0, true), (0, false), (1, true), (2, true), (2, false)]);
        assert_eq!(capture.conversations[1].client.to_string(), b.to_string());
        assert_eq!(capture.packets[1].time, 20_000_000);
        assert_eq!(capture.packets[2].octets.len(), 33, "without padding");
        let skipped: Vec<_> = capture.skipped.values().collect();
        assert_eq!(skipped, [&1, &1]);
    }

    #[test]
    fn what_is_no_capture_is_said_to_be_none() {
        for octets in [&b""[..], b"hello, world, this is no capture file", &PCAPNG] {
            assert!(Capture::read(octets).is_err());
        }
    }
}
