//! `--pcap-errors`: the first frames with a defect as a pcapng file, the reason as each packet's comment.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, PcapError};

use crate::flow::Direction;
use crate::receive::Offender;

/// Writes the file; `start` is when the worker's clock was 0.
pub fn write(offenders: &[Offender], start: SystemTime, path: &Path) -> anyhow::Result<()> {
    let mut writer = BufWriter::new(File::create(path)?);
    write_to(offenders, start, &mut writer)?;
    Ok(writer.flush()?)
}

fn write_to(
    offenders: &[Offender],
    start: SystemTime,
    writer: impl Write,
) -> Result<(), PcapError> {
    let mut writer = PcapNgWriter::new(writer)?;
    for name in ["inside", "outside"] {
        let options = vec![
            InterfaceDescriptionOption::IfName(Cow::Borrowed(name)),
            InterfaceDescriptionOption::IfTsResol(9), // nanoseconds
        ];
        let linktype = DataLink::ETHERNET;
        writer.write_pcapng_block(InterfaceDescriptionBlock { linktype, snaplen: 0, options })?;
    }
    let epoch = start.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    for offender in offenders {
        let interface_id = match offender.direction {
            Direction::Inward => 0,
            Direction::Outward => 1,
        };
        writer.write_pcapng_block(EnhancedPacketBlock {
            interface_id,
            timestamp: epoch + Duration::from_nanos(offender.time),
            original_len: offender.frame.len() as u32,
            data: Cow::Borrowed(&offender.frame),
            options: vec![EnhancedPacketOption::Comment(offender.reasons.join(" ").into())],
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcap_file::pcapng::Block;
    use pcap_file::pcapng::PcapNgReader;

    #[test]
    fn frames_are_kept_with_their_reasons() {
        let offender = Offender {
            direction: Direction::Outward,
            time: 1_500_000_001,
            reasons: vec!["bad_ttl", "remap"],
            frame: (0..61).collect(),
        };
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let mut file = Vec::new();
        write_to(std::slice::from_ref(&offender), start, &mut file).unwrap();
        let mut reader = PcapNgReader::new(&file[..]).unwrap();
        let mut packets = Vec::new();
        while let Some(block) = reader.next_block() {
            if let Block::EnhancedPacket(packet) = block.unwrap().into_owned() {
                packets.push(packet);
            }
        }
        let [packet] = &packets[..] else { panic!("{packets:?}") };
        assert_eq!((packet.interface_id, &packet.data[..]), (1, &offender.frame[..]));
        assert_eq!(packet.timestamp, Duration::from_nanos(1_700_000_001_500_000_001));
        let comment = EnhancedPacketOption::Comment("bad_ttl remap".into());
        assert_eq!(packet.options, [comment]);
    }
}
