"""Captures to receive from: UDP frames of many flows, in random order, checksums right."""

import random
import struct

HEADERS = 14 + 20 + 8
FCS = 4
IMIX = [64] * 7 + [570] * 4 + [1518]  # RFC 6985's usual genome
ROUTER = bytes.fromhex("020000000001")
HOST = bytes.fromhex("020000000099")
REMOTE = bytes([203, 0, 113, 7])
PORTS = 250  # flows of one host, below every limit per host


def ones_complement(octets: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    octets += b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(flow: int, size: int) -> bytes:
    """The frame of a flow; `size` counts the FCS, which a virtual device does not have."""
    length = size - FCS - 14
    host, port = divmod(flow, PORTS)
    source = struct.pack("!I", 0x0A000002 + host)
    head = struct.pack("!BBHHHBBH", 0x45, 0, length, flow & 0xFFFF, 0, 64, 17, 0) + source + REMOTE
    head = head[:10] + struct.pack("!H", ones_complement(head)) + head[12:]
    payload = bytes(length - 28)
    udp = struct.pack("!HHHH", 1024 + port, 53, length - 20, 0)
    pseudo = source + REMOTE + struct.pack("!BBH", 0, 17, length - 20)
    checksum = ones_complement(pseudo + udp + payload) or 0xFFFF
    return ROUTER + HOST + b"\x08\x00" + head + udp[:6] + struct.pack("!H", checksum) + payload


def write_capture(path: str, flows: int, size: str) -> int:
    """Writes a capture in which every flow comes equally often; returns how many frames it has."""
    sizes = IMIX if size == "imix" else [int(size)]
    order = list(range(flows))
    random.Random(flows).shuffle(order)
    # A ring of very few frames would measure the ring: every capture has a thousand at least.
    frames = [(flow, octets) for octets in sizes for flow in order]
    frames *= -(-1000 // len(frames))
    random.Random(1).shuffle(frames)
    with open(path, "wb") as capture:
        capture.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for flow, octets in frames:
            octets = frame(flow, octets)
            capture.write(struct.pack("<IIII", 0, 0, len(octets), len(octets)) + octets)
    return len(frames)
