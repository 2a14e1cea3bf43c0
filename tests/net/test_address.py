import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicemux.errors import AddressError
from voicemux.net.address import (
    DEFAULT_PORT,
    Address,
    ends_like_a_port,
    is_inside,
    lacks_zone,
    parse_address,
    parse_port,
)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("example.org", "example.org", DEFAULT_PORT),
        ("example.org:1", "example.org", 1),
        ("192.0.2.1:65535", "192.0.2.1", 65535),
        ("  localhost:8690\n", "localhost", 8690),
        ("::1", "::1", DEFAULT_PORT),
        ("2001:db8::1", "2001:db8::1", DEFAULT_PORT),
        ("fe80::1%eth0", "fe80::1%eth0", DEFAULT_PORT),
        ("[::1]", "::1", DEFAULT_PORT),
        ("[::1]:8690", "::1", 8690),
        ("[fe80::1%eth0]:8690", "fe80::1%eth0", 8690),
        ("münchen.example:8690", "münchen.example", 8690),
    ],
)
def test_an_address_is_taken_apart(text, host, port):
    assert parse_address(text) == (host, port)


@pytest.mark.parametrize("before", ["tcp://", "voicemux:", "VMUX://", "tcp:"])
@pytest.mark.parametrize("behind", ["", "/"])
def test_our_own_schemes_do_no_harm(before, behind):
    assert parse_address(f"{before}example.org:1{behind}") == ("example.org", 1)
    assert parse_address(f"{before}192.0.2.1{behind}") == ("192.0.2.1", DEFAULT_PORT)


def test_a_host_may_be_called_like_a_scheme():
    assert parse_address("ssh:8690") == ("ssh", 8690)
    assert parse_address("tcp") == ("tcp", DEFAULT_PORT)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("sip:bob@example.org", "sip:"),
        ("tel:+491234", "tel:"),
        ("wss://example.org", "wss://"),
        ("HTTP:example.org", "HTTP:"),
        ("192.0.2.1/24", "/24"),
        ("fd00::2/64", "/64"),
        ("example.org:1/call", "/call"),
        ("tcp://example.org/call", "/call"),
    ],
)
def test_what_is_too_much_is_named(text, rest):
    with pytest.raises(AddressError, match=f"leave {re.escape(rest)} away$"):
        parse_address(text)


@pytest.mark.parametrize(
    "text",
    ["", "  ", ":8690", "[]", "[]:8690", "[::1", "[::1]8690", "[::1] :8690", "two words", "two words:1", "a\tb"],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(AddressError, match="is not an address: expected"):
        parse_address(text)


@pytest.mark.parametrize("text", ["1:2:3", "bob:9240:1", "::1:zzz", "fd00::5::1", "::ffff:300.1.1.1"])
def test_what_has_several_colons_is_ipv6_or_no_address(text):
    with pytest.raises(AddressError, match="with more than one colon, expected IPv6"):
        parse_address(text)


@pytest.mark.parametrize(
    "port", ["", "0", "65536", "-1", "+1", "1.5", "x", "99999999", "0x10", "٣", "1_0", " 1", "²"]
)
def test_what_is_no_port_is_refused(port):
    with pytest.raises(AddressError, match="is not a port: expected a number from 1 to 65535"):
        parse_port(port)
    for host in ("host", "[::1]"):
        with pytest.raises(AddressError, match="is not a port"):
            parse_address(f"{host}:{port}")


def test_a_listener_may_leave_the_port_to_the_system():
    assert parse_port("0", lowest=0) == 0


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (Address("example.org", DEFAULT_PORT), "example.org"),
        (Address("example.org", 1), "example.org:1"),
        (Address("::1", DEFAULT_PORT), "::1"),
        (Address("::1", 1), "[::1]:1"),
    ],
)
def test_an_address_is_written_as_one_would_type_it(address, text):
    assert str(address) == text


hosts = st.from_regex(r"[a-z0-9-]{1,10}(\.[a-z0-9]{1,5}){0,2}", fullmatch=True) | st.ip_addresses().map(str)


@given(hosts, st.integers(1, 65535))
def test_an_address_that_is_written_can_be_read(host, port):
    assert parse_address(str(Address(host, port))) == (host, port)


@given(st.text())
def test_any_text_is_an_address_or_refused(text):
    try:
        host, port = parse_address(text)
    except AddressError:
        return
    assert host
    assert 1 <= port <= 65535


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        *((each, True) for each in ("192.168.1.5", "10.0.0.1", "172.31.255.1", "100.64.0.1", "169.254.1.1")),
        *((each, True) for each in ("fd00::5", "fe80::1", "fe80::1%eth0")),
        *((each, False) for each in ("203.0.113.5", "172.32.0.1", "2001:db8::1", "127.0.0.1", "::1", "localhost")),
        *((each, False) for each in ("kitchen.lan", "10.example", "")),
    ],
)
def test_it_is_known_which_addresses_work_in_one_network_only(host, inside):
    assert is_inside(host) == inside


@pytest.mark.parametrize(
    ("host", "is_lacking"),
    [
        ("fe80::1", True),
        ("febf::2", True),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("169.254.1.1", False),
        ("fe80", False),
    ],
)
def test_only_link_local_addresses_of_ipv6_need_an_interface(host, is_lacking):
    assert lacks_zone(host) is is_lacking


@pytest.mark.parametrize(
    ("text", "is_meant"),
    [
        ("::1:9003", True),
        ("fd00::5:9003", True),
        ("[::1]:9003", False),
        ("4711-a-b@tls://127.0.0.1:43029", False),
        ("tcp://host:9003", False),
    ],
)
def test_a_port_behind_an_address_without_brackets_is_noticed(text: str, is_meant: bool) -> None:
    assert ends_like_a_port(text) == is_meant
