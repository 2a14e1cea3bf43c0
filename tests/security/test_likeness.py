import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicemux.security.likeness import alike, skeleton

WIDE = "voicemux".translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)})
UNSEEN = (
    "\u200b\u200c\u200d\u2060\ufeff\ufe0f\u180b\u034f\u115f\u1160\u17b4\u3164\uffa0\u2800\u3000\u2003\u202e\u00ad"
    "\U000e0100\U000e0041\U0001d159\U0001d173\ufffc\x00\x1b\n"
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bob", "b\u043eb"),  # Cyrillic
        ("bob", "\u042c\u043eb"),
        ("bob", "\u13f4\u13be\u13f4"),  # Cherokee
        ("bob", "b\u03bfb"),  # Greek
        ("BOB", "\u0412\u041e\u0412"),
        ("bob", "BOB"),
        ("BILL", "bill"),
        ("paypal", "paypaI"),
        ("paypal", "paypa1"),
        ("paypal", "\U0001d52d\U0001d4b6\u1eff\U0001d561\U0001d552\u2113"),
        ("Olga", "0lga"),
        ("mary", "rnary"),
        ("MARY", "rnary"),
        ("Harry", "\u041darry"),
        ("stra\xdfe", "STRASSE"),
        ("zoe\u0308", "zo\xeb"),
        ("zoe", "zo\xeb"),
        ("\u039d\u03af\u03ba\u03bf\u03c2", "\u03bd\u03af\u03ba\u03bf\u03c2"),  # Greek: its N and n look like others
        ("\u65e5\u672c", "\u2f47\u672c"),  # a radical of the dictionaries
        ("O\u2019Neill", "O'Neill"),
        ("bob-2", "bob\u20102"),
        ("bob", "b\u0305ob"),
        ("bob", "bo\u20ddb"),
        ("voicemux", "voice mux"),
        ("voicemux", WIDE),
        ("voicemux", "v\xf3iceMux"),
        *(("bob", f"{unseen}bo{unseen}b{unseen}") for unseen in UNSEEN),
    ],
    ids=ascii,
)
def test_names_that_look_alike_are_found_out(one, other):
    assert alike(one, other)
    assert alike(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bob", "rob"),
        ("bob", "bob-2"),
        ("bob", "bobb"),
        ("ali", "all"),
        ("hen", "ven"),
        ("voicemux", "voicemuxx"),
        ("\u0433\u043e\u043b\u043e\u0441", "\u0433\u043e\u043b\u043e\u0434"),
        ("\u58f0", "\u97f3"),
        ("\u0930\u093e\u092e", "\u0930\u092e"),  # a vowel in Devanagari
        ("\u0639\u0645\u0631", "\u0639\u0644\u064a"),
    ],
    ids=ascii,
)
def test_other_names_are_other_names(one, other):
    assert not alike(one, other)


@pytest.mark.parametrize("name", ["", " ", *UNSEEN, UNSEEN, "\u0301"], ids=ascii)
def test_a_name_that_shows_nothing_has_no_skeleton(name):
    assert skeleton(name) == ""


texts = st.text(max_size=12) | st.text("bo\u043eIl1|0Omrn\u0130\u0345\u03c2\ufb01\xdf\u03bd\u039d", max_size=12)


@given(texts)
def test_a_skeleton_has_nothing_that_is_not_seen(text):
    bones = skeleton(text)
    assert not {unicodedata.category(each)[0] for each in bones} & {"C", "Z"}
    assert bones == bones.casefold()


@given(texts, st.integers(0, 12), st.sampled_from(UNSEEN))
def test_what_is_not_seen_makes_no_difference(text, place, unseen):
    text = unicodedata.normalize("NFKD", text)
    assert skeleton(text[:place] + unseen + text[place:]) == skeleton(text)


@given(texts)
def test_upper_and_lower_case_look_alike(text):
    assert alike(text, text.upper().lower()) or alike(text.upper(), text.upper().lower())
    assert alike(text, text.casefold())
