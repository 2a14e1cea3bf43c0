"""Finds the networks of an address; one owner may have all the addresses of each of them. Pure."""

import ipaddress

Network = str  # CIDR notation: "192.0.2.0/24", "2001:db8::/48"; a host name is its own network

# Prefix lengths, the widest first. IPv6: a site gets a /48 or a /56, a link a /64 (RFC 6177). IPv4: /24 is the
# longest prefix that is routed on the Internet, so its addresses have one owner, or neighbours.
IPV6_BITS = (48, 56, 64)
IPV4_BITS = (24, 32)


def is_loopback(host: str) -> bool:
    """Whether `host` is a loopback address: this machine itself."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def networks_of(host: str) -> tuple[Network, ...]:
    """Return the networks of `host`, the widest first; only `host` itself if it is a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return (host,)
    # A dual-stack socket reports IPv4 addresses as ::ffff:192.0.2.1.
    if isinstance(address, ipaddress.IPv6Address) and not address.ipv4_mapped:
        return tuple(str(ipaddress.IPv6Network((int(address), bits), strict=False)) for bits in IPV6_BITS)
    number = int(address) & 0xFFFF_FFFF
    return tuple(str(ipaddress.IPv4Network((number, bits), strict=False)) for bits in IPV4_BITS)
