"""STUN binding as RFC 5626 8 uses it for keep-alive: RFC 5389 6, 7.3.1 and 15.2, without credentials or fingerprint."""

import ipaddress
import struct

COOKIE = 0x2112A442
BINDING_REQUEST, BINDING_SUCCESS = 0x0001, 0x0101
XOR_MAPPED_ADDRESS = 0x0020


def is_binding_request(data):
    if len(data) < 20 or data[0] & 0xC0:
        return False
    kind, length, cookie = struct.unpack(">HHI", data[:8])
    return kind == BINDING_REQUEST and cookie == COOKIE and length == len(data) - 20 and length % 4 == 0


def answer(request, seen_as):
    """A success response. seen_as: (ip, port) as which the client is seen."""
    transaction = request[8:20]
    ip = ipaddress.ip_address(seen_as[0])
    mask = struct.pack(">I", COOKIE) + transaction
    xored = bytes(a ^ b for a, b in zip(ip.packed, mask))
    value = struct.pack(">BBH", 0, 1 if ip.version == 4 else 2, seen_as[1] ^ (COOKIE >> 16)) + xored
    attribute = struct.pack(">HH", XOR_MAPPED_ADDRESS, len(value)) + value
    return struct.pack(">HHI", BINDING_SUCCESS, len(attribute), COOKIE) + transaction + attribute


def mapped_address(response):
    """(ip, port) of a success response."""
    kind, length, cookie = struct.unpack(">HHI", response[:8])
    if kind != BINDING_SUCCESS or cookie != COOKIE or length != len(response) - 20:
        raise ValueError("no success response")
    mask = struct.pack(">I", COOKIE) + response[8:20]
    attribute, size = struct.unpack(">HH", response[20:24])
    if attribute != XOR_MAPPED_ADDRESS:
        raise ValueError("no XOR-MAPPED-ADDRESS")
    family, port = struct.unpack(">xBH", response[24:28])
    packed = bytes(a ^ b for a, b in zip(response[28:24 + size], mask))
    return str(ipaddress.ip_address(packed[:4 if family == 1 else 16])), port ^ (COOKIE >> 16)
