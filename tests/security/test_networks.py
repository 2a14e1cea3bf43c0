import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicemux.security.networks import networks_of


@pytest.mark.parametrize(
    ("host", "networks"),
    [
        ("192.0.2.1", ("192.0.2.0/24", "192.0.2.1/32")),
        ("::ffff:192.0.2.1", ("192.0.2.0/24", "192.0.2.1/32")),
        ("127.0.0.1", ("127.0.0.0/24", "127.0.0.1/32")),
        ("2001:db8:1:234:5::6", ("2001:db8:1::/48", "2001:db8:1:200::/56", "2001:db8:1:234::/64")),
        ("2001:0DB8:0001:0234::", ("2001:db8:1::/48", "2001:db8:1:200::/56", "2001:db8:1:234::/64")),
        ("fe80::1%eth0", ("fe80::/48", "fe80::/56", "fe80::/64")),
        ("::1", ("::/48", "::/56", "::/64")),
        ("somewhere", ("somewhere",)),
        ("192.0.2.01", ("192.0.2.01",)),
        ("3221225985", ("3221225985",)),
        ("", ("",)),
    ],
)
def test_the_networks_of_an_address_are_those_of_its_owners_the_widest_first(host, networks):
    assert networks_of(host) == networks


@given(st.text(max_size=30))
def test_whatever_a_host_is_called_it_has_a_network(host):
    assert networks_of(host)
