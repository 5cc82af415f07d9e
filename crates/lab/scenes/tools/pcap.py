#!/usr/bin/env python3
"""Checks that a capture holds no byte in clear of the flows that Tidelock governs.

Every TCP stream of a governed port is put together from its segments, and has to parse from first to last byte as
TLS 1.3 records (RFC 8446, section 5.1). The strings given must not occur in it, nor in any single segment. The same
search has to find the marker in a control transfer of the same capture, or it proves nothing.

Exit status 0 and a summary, or 1 and what was found. Written for libpcap's classic format, Ethernet and Linux "cooked"
frames, IPv4 and IPv6.
"""
import argparse
import struct
import sys

HANDSHAKE, DATA = 22, 23
TYPES = {20: "change_cipher_spec", 21: "alert", HANDSHAKE: "handshake", DATA: "application_data"}
MAX_RECORD = 16384 + 256
CLIENT_HELLO, SERVER_HELLO = 1, 2


class Found(Exception):
    """What must not be."""


def frames(path):
    """Yields the network layer of every captured frame: (ether type, bytes)."""
    data = open(path, "rb").read()
    magic = struct.unpack("<I", data[:4])[0]
    if magic not in (0xA1B2C3D4, 0xA1B23C4D):
        raise Found("not a capture of this machine")
    link = struct.unpack("<I", data[20:24])[0]
    at = 24
    while at + 16 <= len(data):
        kept, whole = struct.unpack("<II", data[at + 8:at + 16])
        frame = data[at + 16:at + 16 + kept]
        at += 16 + kept
        if kept != whole:
            raise Found("a frame was not captured whole")
        if link == 1:
            yield struct.unpack(">H", frame[12:14])[0], frame[14:]
        elif link == 113:
            yield struct.unpack(">H", frame[14:16])[0], frame[16:]
        else:
            raise Found(f"link type {link} is not known")


def segments(path):
    """Yields (flow, flags, sequence number, payload) of every TCP segment; a flow is (from, port, to, port)."""
    for kind, packet in frames(path):
        if kind == 0x0800 and packet[9] == 6:
            header, length = (packet[0] & 15) * 4, struct.unpack(">H", packet[2:4])[0]
            # A length of 0 is a segment that the card was to cut up: it is all there is.
            packet, ends = packet[:length or len(packet)], (packet[12:16], packet[16:20])
        elif kind == 0x86DD and packet[6] == 6:
            header, length = 40, struct.unpack(">H", packet[4:6])[0]
            packet, ends = packet[:40 + length if length else len(packet)], (packet[8:24], packet[24:40])
        else:
            continue
        tcp = packet[header:]
        source, target, number = struct.unpack(">HHI", tcp[:8])
        yield (ends[0], source, ends[1], target), tcp[13], number, tcp[(tcp[12] >> 4) * 4:]


class Stream:
    """One direction of a connection."""

    def __init__(self, number, port):
        self.start = number + 1 & 0xFFFFFFFF
        self.port = port
        self.pieces = {}
        self.reset = False
        self.other = None

    def add(self, number, payload):
        at = number - self.start & 0xFFFFFFFF
        if at > 0x7FFFFFFF:                 # a keep-alive repeats a byte from before
            payload, at = payload[0x100000000 - at:], 0
        if len(self.pieces.get(at, b"")) < len(payload):
            self.pieces[at] = payload

    def bytes(self):
        whole = bytearray()
        for at in sorted(self.pieces):
            piece = self.pieces[at]
            if at > len(whole):
                raise Found(f"port {self.port}: {at - len(whole)} bytes are missing in the capture")
            repeated = bytes(whole[at:at + len(piece)])
            if repeated != piece[:len(repeated)]:
                raise Found(f"port {self.port}: bytes were sent again as other bytes")
            whole += piece[len(repeated):]
        return bytes(whole)


def streams(path, ports):
    """Every connection of these server ports: (stream of the client, stream of the server) in order."""
    live, found = {}, []
    for flow, flags, number, payload in segments(path):
        if flow[3] not in ports and flow[1] not in ports:
            continue
        port = flow[3] if flow[3] in ports else flow[1]
        stream = live.get(flow)
        if flags & 2 and (stream is None or stream.start != number + 1 & 0xFFFFFFFF):
            stream = live[flow] = Stream(number, port)
            if flow[3] == port and not flags & 16:
                found.append(stream)
            else:
                client = live.get(flow[2:] + flow[:2])
                if client:
                    client.other = stream
        if flags & 2:
            number += 1
        if stream is None:
            # A reset that answers a connection which never was has no stream.
            if payload:
                raise Found(f"port {port}: a connection whose beginning was not captured")
            continue
        if flags & 4:
            stream.reset = True
        if payload:
            stream.add(number & 0xFFFFFFFF, payload)
    return found


def records(stream, data, cut_allowed):
    """Parses a stream as TLS records: [(type, body)]."""
    at, out = 0, []
    while at < len(data):
        if len(data) - at < 5:
            break
        kind, major, minor, length = struct.unpack(">BBBH", data[at:at + 5])
        if kind not in TYPES or major != 3 or minor not in (1, 3) or not 0 < length <= MAX_RECORD:
            raise Found(f"port {stream.port}: byte {at} starts no TLS record: {data[at:at + 40]!r}")
        if at + 5 + length > len(data):
            break
        out.append((kind, data[at + 5:at + 5 + length]))
        at += 5 + length
    if at < len(data) and not cut_allowed:
        raise Found(f"port {stream.port}: the stream ends inside a record")
    return out


def check_order(stream, out, first):
    """Handshake messages in clear are a hello each way; behind them everything is encrypted."""
    hellos = [body for kind, body in out if kind == HANDSHAKE]
    if not out:
        return
    if out[0][0] != HANDSHAKE or out[0][1][0] != first:
        raise Found(f"port {stream.port}: the stream does not begin with a hello")
    if len(hellos) > 2 or any(body[0] != first for body in hellos):
        raise Found(f"port {stream.port}: a handshake message in clear that is no hello")


def governed(path, args, never):
    """Checks every stream of the governed ports; what was seen."""
    seen = {"connections": 0, "records": 0, "bytes": 0, "client": 0}
    for client in streams(path, set(args.governed)):
        seen["connections"] += 1
        for stream, first in ((client, CLIENT_HELLO), (client.other, SERVER_HELLO)):
            if stream is None:
                continue
            data = stream.bytes()
            for word in never:
                if word in data:
                    raise Found(f"port {stream.port}: `{word.decode()}` in clear")
            cut = args.cut or stream.reset or (client.other is not None and client.other.reset) or client.reset
            out = records(stream, data, cut)
            check_order(stream, out, first)
            seen["records"] += len(out)
            seen["bytes"] += len(data)
            if stream is client:
                sent = sum(len(body) for kind, body in out if kind == DATA)
                seen["client"] = max(seen["client"], sent)
    return seen


def control(path, port, marker):
    """The marker has to be found where nothing hides it."""
    for client in streams(path, {port}):
        for stream in (client, client.other):
            if stream is not None and marker in stream.bytes():
                return
    raise Found("the search does not find the marker in the control transfer")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("capture")
    parser.add_argument("--marker", required=True)
    parser.add_argument("--control", type=int, required=True, help="port of the transfer in clear")
    parser.add_argument("--governed", type=int, action="append", default=[], required=True, help="port of governed flows")
    parser.add_argument("--never", action="append", default=[], help="a string that must not occur")
    parser.add_argument("--connections", type=int, default=1, help="how many there have to be, at least")
    parser.add_argument("--cut", action="store_true", help="streams may end inside a record")
    parser.add_argument("--client-at-most", type=int, help="bytes in encrypted records that any client may have sent")
    args = parser.parse_args()
    never = [word.encode() for word in [args.marker, *args.never]]
    try:
        control(args.capture, args.control, args.marker.encode())
        for flow, _, _, payload in segments(args.capture):
            if flow[1] in args.governed or flow[3] in args.governed:
                for word in never:
                    if word in payload:
                        raise Found(f"ports {flow[1]} to {flow[3]}: `{word.decode()}` in clear")
        seen = governed(args.capture, args, never)
        if seen["connections"] < args.connections:
            raise Found(f"only {seen['connections']} connections were captured")
        if args.client_at_most is not None and seen["client"] > args.client_at_most:
            raise Found(f"a client sent {seen['client']} encrypted bytes")
    except Found as found:
        print(f"pcap: {found}")
        return 1
    print("{connections} connections, {records} TLS records, {bytes} bytes; at most {client} encrypted bytes "
          "of a client".format(**seen))
    return 0


if __name__ == "__main__":
    sys.exit(main())
