//! Sources that a port does not take (RFC 3704), and options that it does not (RFC 7126).

use crate::common::*;

fn config(lines: &str) -> Config {
    Config::new("router.toml")
        .interface("left", lines)
        .more("[[route]]\nprefix = \"10.7.0.0/16\"\nnext_hops = [\"10.1.0.2\"]")
        .more("[[route]]\nprefix = \"10.8.0.0/16\"\ndiscard = true")
}

#[test]
fn strictly_a_source_is_where_its_route_leads() {
    for_workers(|workers| {
        let mut vnf = Harness::new(config("source_validation = \"strict\""), workers);
        for source in ["10.1.0.2:1", "10.7.1.1:1"] {
            vnf.send("left", &udp(source, "192.0.2.2:2"));
            vnf.expect("right", &udp(source, "192.0.2.2:2"));
        }
        vnf.counted(["2 right.transmitted"]);
        // The default route leads to the other side.
        for source in ["8.8.8.8:1", "192.0.2.77:1", "10.8.0.1:1"] {
            vnf.send("left", &udp(source, "192.0.2.2:2").macs(MAC, HOST));
            vnf.counted(["source-validation"]);
        }
        vnf.send("left", &udp("[2001:db8::1]:1", "[fd00:b::2]:2").macs(MAC, HOST));
        vnf.counted(["source-validation"]);
        vnf.send("left", &udp("[fd00:a::2]:1", "[fd00:b::2]:2"));
        vnf.expect("right", &udp("[fd00:a::2]:1", "[fd00:b::2]:2"));
        vnf.send("left", &ping("8.8.8.8:1", "10.1.0.1").macs(MAC, HOST));
        vnf.counted(["right.transmitted", "source-validation"]);
        // The other side takes them all.
        vnf.send("right", &udp("8.8.8.8:1", "10.1.0.2:2"));
        vnf.expect("left", &udp("8.8.8.8:1", "10.1.0.2:2"));
    });
}

#[test]
fn loosely_a_source_is_one_that_some_route_leads_to() {
    for_workers(|workers| {
        let config = config("source_validation = \"loose\"")
            .replace("prefix = \"0.0.0.0/0\"", "prefix = \"203.0.113.0/24\"");
        let mut vnf = Harness::new(config, workers);
        vnf.send("left", &udp("203.0.113.9:1", "192.0.2.2:2").macs(MAC, HOST));
        vnf.expect("right", &udp("203.0.113.9:1", "192.0.2.2:2"));
        vnf.counted(["right.transmitted"]);
        for source in ["8.8.8.8:1", "10.8.0.1:1"] {
            vnf.send("left", &udp(source, "192.0.2.2:2").macs(MAC, HOST));
            vnf.counted(["source-validation"]);
        }
    });
}

#[test]
fn a_port_may_take_no_options_at_all() {
    for_workers(|workers| {
        for (lines, reason) in [("", None), ("ipv4_options = \"drop\"", Some("ipv4-options"))] {
            let mut vnf = Harness::new(config(lines), workers);
            let packet = udp("10.1.0.2:1", "192.0.2.2:2");
            let mut frame = vnf.frame_of("left", &packet);
            // Router alert (RFC 2113).
            frame.splice(34..34, [148, 4, 0, 0]);
            let (header, length) = (frame[14] + 1, frame.len() as u16 - 14);
            frame[14] = header;
            frame[16..18].copy_from_slice(&length.to_be_bytes());
            frame[24..26].fill(0);
            let words = frame[14..38].chunks(2);
            let sum: u32 = words.map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
            let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
            frame[24..26].copy_from_slice(&checksum.to_be_bytes());
            vnf.send_frame("left", &frame);
            match reason {
                None => assert_eq!(vnf.take("right").0[14], 0x46),
                Some(reason) => vnf.counted([reason]),
            }
            vnf.forget_counts();
        }
    });
}

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const HOST: [u8; 6] = [2, 4, 10, 1, 0, 2];
