"""A box in the middle of the line that remembers TCP connections, as a NAT does, and may lose its memory.

It sees every packet. What belongs to a connection that it has given up is answered with a reset, or vanishes; a SYN
begins a new one. IPv4 only; everything else passes.
"""

import struct

TCP = 6  # the number of the protocol (IANA)
SYN, RST, ACK = 0x02, 0x04, 0x10  # bits of TCP's flags (RFC 9293)
IP_HEADER = struct.Struct(">BBHHHBBH4s4s")
TCP_HEADER = struct.Struct(">HHIIBBHHH")

End = tuple[bytes, int]  # address and port
Connection = tuple[End, End]  # in the order of their values, so that both ways have the same


class Middlebox:
    """`judge` every packet."""

    def __init__(self) -> None:
        self._known: set[Connection] = set()
        self._given_up: dict[Connection, bool] = {}  # whether its packets are answered with a reset

    def give_up(self, *, answers: bool) -> None:
        """The connections of now: what belongs to them is answered with a reset, or vanishes as at a NAT that was
        rebooted."""
        self._given_up |= dict.fromkeys(self._known, answers)
        self._known.clear()

    def judge(self, packet: bytes) -> tuple[bool, bytes]:
        """Whether the packet may pass, and what its sender is answered: a packet, or nothing."""
        if len(packet) < 40 or packet[0] >> 4 != 4 or packet[9] != TCP:
            return True, b""
        source, target = packet[12:16], packet[16:20]
        at = (packet[0] & 15) * 4
        from_port, to_port, _, acknowledged, _, flags, *_ = TCP_HEADER.unpack_from(packet, at)
        first, second = sorted(((source, from_port), (target, to_port)))
        connection = (first, second)
        if flags & SYN and not flags & ACK:
            self._given_up.pop(connection, None)
        if connection not in self._given_up:
            self._known.add(connection)
            return True, b""
        if flags & RST or not self._given_up[connection]:
            return False, b""
        return False, _make_reset(target, source, to_port, from_port, acknowledged)


def _make_reset(source: bytes, target: bytes, from_port: int, to_port: int, sequence: int) -> bytes:
    """As the peer would send it: with the number that the target expects next (RFC 9293, section 3.5.2)."""
    segment = TCP_HEADER.pack(from_port, to_port, sequence, 0, 5 << 4, RST, 0, 0, 0)
    pseudo = struct.pack(">4s4sBBH", source, target, 0, TCP, len(segment))
    segment = segment[:16] + _checksum(pseudo + segment) + segment[18:]
    header = IP_HEADER.pack(0x45, 0, 20 + len(segment), 0, 0x4000, 64, TCP, 0, source, target)
    return header[:10] + _checksum(header) + header[12:] + segment


def _checksum(data: bytes) -> bytes:
    """The ones' complement sum of RFC 1071, of data of an even length."""
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", ~total & 0xFFFF)
