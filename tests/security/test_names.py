import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicemux.errors import AddressError
from voicemux.net.address import parse_address
from voicemux.security.likeness import alike
from voicemux.security.names import MOST, free_name, marked, passes_for_address, tame

names = (
    st.text(max_size=50)
    | st.sampled_from(["voicemux", "localhost", "n" * 40, "[::1", "[bob"])
    | st.text("bob./\\:<>|@[]%-0127x lI\u043e\u200b\u2800\ufe0f\n\x1b", max_size=40)
)


@given(names)
def test_a_tame_name_can_be_shown_and_leads_nowhere(name):
    tamed = tame(name)
    assert tamed.isprintable()
    assert len(tamed) <= MOST
    assert not set(tamed) & set('<>:|/\\"\u2800')
    assert not tamed.startswith((".", "-", " "))
    assert tamed == " ".join(tamed.split())
    assert tame(tamed) == tamed


@given(names, st.lists(names, max_size=4))
def test_a_free_name_looks_like_no_other_and_like_no_address(name, taken):
    free = free_name(name, taken)
    assert free.isprintable()
    assert 0 < len(free) <= MOST
    assert not any(alike(free, each) for each in [*taken, "voicemux"])
    assert not passes_for_address(free)


@given(names, st.lists(names, max_size=4))
def test_somebody_unknown_looks_like_no_contact(name, contacts):
    shown = marked(name, contacts)
    assert len(shown) <= MOST
    if any(alike(tame(name), each) for each in contacts):
        assert shown.endswith("(not the contact)")
    else:
        assert shown == tame(name)


def test_the_mark_of_somebody_unknown_has_room_behind_a_long_name():
    name = "Bartholomew Featherstonehaugh"
    assert marked(name, [name]) == "Bartholomew F… (not the contact)"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "10.1.2.3",
            "kitchen.lan",
            "localhost",
            "LOCALHOST",
            "8689",
            "0x7f000001",
            "fd00::5",
            "[::1]:9000",
            "bob:9240",
        ),
        *("alice@host", "tcp://h", "fe80::1%eth0", "10\u20241\u20242\u20243", "\uff11\uff12", "1_0"),
    ],
)
def test_what_looks_like_an_address_is_one(text):
    assert passes_for_address(text)


@pytest.mark.parametrize("text", ["bob", "Bob the Builder", "Dr. Who", "bob-2", "2bob", "7 of 9", "", "1st"])
def test_names_are_names(text):
    assert not passes_for_address(text)


@given(st.ip_addresses().map(str), st.integers(1, 65535))
def test_no_address_of_the_network_is_a_name(host, port):
    assert passes_for_address(host)
    for text in (f"{host}:{port}", f"[{host}]:{port}"):
        assert passes_for_address(text)
        try:
            parse_address(text)
        except AddressError:
            continue
