import construct
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicemux.protocol import wire

DERIVED = [
    (wire.HEADER, wire.header_struct),
    (wire.TEXT_HEADER, wire.text_header_struct),
    (wire.AUDIO_HEADER, wire.audio_header_struct),
]


@pytest.mark.parametrize(("layout", "derived"), DERIVED)
@given(st.data())
def test_a_derived_struct_builds_and_parses_what_its_layout_does(layout, derived, data):
    names = [field.name for field in layout.subcons]
    limits = [256 ** field.subcon.sizeof() - 1 for field in layout.subcons]
    values = data.draw(st.tuples(*(st.integers(0, limit) for limit in limits)))
    encoded = derived.pack(*values)
    assert encoded == layout.build(dict(zip(names, values, strict=True)))
    parsed = layout.parse(encoded)
    assert tuple(parsed[name] for name in names) == derived.unpack(encoded) == values


@pytest.mark.parametrize(("layout", "derived"), DERIVED)
def test_a_derived_struct_refuses_what_is_too_short_as_its_layout_does(layout, derived):
    short = bytes(derived.size - 1)
    with pytest.raises(wire.MALFORMED):
        layout.parse(short)
    with pytest.raises(wire.MALFORMED):
        derived.unpack_from(short)


def test_a_layout_that_is_not_of_fixed_integers_cannot_be_derived():
    with pytest.raises((AttributeError, AssertionError)):
        wire.derive(construct.Struct("rest" / construct.GreedyBytes))


def test_the_greasy_tag_is_one_that_will_never_be_given_out():
    assert wire.GREASE_TAG & 0x1F == 0x1A
