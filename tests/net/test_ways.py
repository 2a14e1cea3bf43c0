"""Ways to a listener, written down and taken apart."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicemux.errors import AddressError, Unreachable
from voicemux.net.address import Address
from voicemux.net.ways import Proxied, ProxyCommand, SocksProxy, parse_socks

BOB = Address("bob.example", 8689)


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("127.0.0.1", SocksProxy(Address("127.0.0.1", 1080))),
        ("localhost:9050", SocksProxy(Address("localhost", 9050))),
        ("[::1]:9050", SocksProxy(Address("::1", 9050))),
        ("::1", SocksProxy(Address("::1", 1080))),
        ("[::1]", SocksProxy(Address("::1", 1080))),
        ("host:8689", SocksProxy(Address("host", 8689))),
        ("alice:se:cr@et@host:1", SocksProxy(Address("host", 1), "alice", "se:cr@et")),
        ("alice:@host", SocksProxy(Address("host", 1080), "alice", "")),
    ],
)
def test_a_proxy_is_read_with_its_port_and_its_user(text: str, proxy: SocksProxy) -> None:
    assert parse_socks(text) == proxy


@pytest.mark.parametrize("text", ["", ":9050", "host:0", "host:x", "alice@host", "@host", ":pw@host", "a b", "[::1"])
def test_what_is_no_proxy_is_refused_without_showing_a_password(text: str) -> None:
    with pytest.raises(AddressError):
        parse_socks(text)


def test_a_password_is_not_in_the_complaint() -> None:
    with pytest.raises(AddressError) as caught:
        parse_socks("alice:sesame@host:port")
    assert "sesame" not in str(caught.value)


def test_a_proxied_way_is_called_by_the_address_of_the_listener() -> None:
    way = Proxied(BOB, ProxyCommand("nc %h %p"))
    assert (str(way), way.host) == ("bob.example", "bob.example")


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("nc %h %p", "nc bob.example 8689"),
        ("ssh there voicemux listen --stdio", "ssh there voicemux listen --stdio"),
        ("date +%%s; %x %%h", "date +%s; %x %h"),
    ],
)
def test_a_command_gets_host_and_port(text: str, command: str) -> None:
    assert ProxyCommand(text).to(BOB) == command


hosts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


@given(host=hosts.filter(lambda host: host[0] != "-"))
def test_a_host_is_one_word_of_the_command_whatever_it_is(host: str) -> None:
    command = ProxyCommand("printf %%s %h").to(Address(host, 1))
    assert subprocess.run(["/bin/sh", "-c", command], stdout=subprocess.PIPE, check=True).stdout == host.encode()


@pytest.mark.parametrize("host", ["-oProxyCommand=date", "--help", "-"])
def test_a_host_that_a_command_would_take_for_an_option_is_refused(host: str) -> None:
    with pytest.raises(Unreachable, match="begins like an option"):
        ProxyCommand("ssh %h").to(Address(host, 1))
