"""Section 12: who is who."""

from typing import Any

from tests.vectors.making.meeting import ALICE, BOB, CODE, KNOWN, MALLORY, OPEN, Meeting, Person
from tests.vectors.making.writing import Entry, entry

SPOKEN = "42-beeswax-caravan"


def authentication() -> list[Entry]:
    def meeting(name: str, description: str, method: int, codes: tuple[str, ...] = (), **changed: Any) -> Entry:
        dialled, used = codes or ("", "")
        met = Meeting(method, dialled, used)
        outcome = {name: changed.pop(name) for name in ("error", "by") if name in changed}
        vars(met).update(changed)
        return entry(name, "12", description, kind="meeting", **met.shown(), **outcome)

    def refused(name: str, description: str, by: str, error: str, method: int, *codes: str, **changed: Any) -> Entry:
        return meeting(name, description, method, codes, by=by, error=error, **changed)

    def guesses(name: str, description: str, *outcomes: tuple[str, str], used: str = SPOKEN) -> Entry:
        shown = [{"code": code, "outcome": outcome} for code, outcome in outcomes]
        return entry(name, "12", description, kind="guesses", code=used, guesses=shown)

    def key(name: str, description: str, shown: Person, **outcome: Any) -> Entry:
        who = {"remembered": BOB.fingerprint.hex(), "certificate": shown.certificate.hex()}
        return entry(name, "12", description, kind="key", **who, **outcome)

    def code(name: str, description: str, typed: str, password: str) -> Entry:
        return entry(f"code-{name}", "12", description, kind="code", typed=typed, password=password)

    both = (SPOKEN, SPOKEN)
    right, wrong = Meeting(CODE, *both), "42-beeswax-carbon"
    other = Meeting(KNOWN, dialler_nonce=bytes(32))
    uncommitted = {name: getattr(other, name) for name in ("nonce", "signature", "transcript", "words")}
    of_mallory = MALLORY.sign(b"voicemux/1 dialler\0" + Meeting(KNOWN).transcript)
    replayed = Meeting(KNOWN, listener_nonce=bytes(32)).signature
    unsaid = ALICE.sign(b"voicemux/1 listener\0" + Meeting(KNOWN).transcript)
    listeners, diallers = [right.confirmations[1]] * 2, [right.confirmations[0]] * 2
    return [
        meeting("authentication-known", "Both know the other's key.", KNOWN),
        meeting("authentication-open", "The two users compare the words.", OPEN),
        meeting("authentication-code", "Both know the code.", CODE, both),
        meeting(
            "authentication-admitted-open",
            "The listener does not know the dialler: words are compared.",
            KNOWN,
            admitted=OPEN,
            known=False,
        ),
        refused(
            "proof-wrong-nonce",
            "Not the one committed to; all else is right.",
            "listener",
            "protocol",
            KNOWN,
            **uncommitted,
        ),
        refused("proof-wrong-signature", "By another key.", "listener", "protocol", KNOWN, signature=of_mallory),
        refused("proof-no-signature", "None at all.", "listener", "protocol", KNOWN, signature=b""),
        refused(
            "proof-replayed",
            "Of another conversation: the listener's nonce was another.",
            "listener",
            "protocol",
            KNOWN,
            signature=replayed,
        ),
        refused(
            "proof-signature-of-something-else",
            "Of a text for listeners.",
            "listener",
            "protocol",
            KNOWN,
            signature=unsaid,
        ),
        refused("proof-wrong-confirmation", "Of another code.", "listener", "wrong-code", CODE, wrong, SPOKEN),
        refused(
            "proof-without-confirmation",
            "None at all.",
            "listener",
            "wrong-code",
            CODE,
            *both,
            confirmations=[b"", b""],
        ),
        refused(
            "proof-reflected-confirmation",
            "The listener's own.",
            "listener",
            "wrong-code",
            CODE,
            *both,
            confirmations=listeners,
        ),
        refused(
            "welcome-wrong-confirmation",
            "The listener does not know the code.",
            "dialler",
            "wrong-code",
            CODE,
            *both,
            confirmations=[right.confirmations[0], bytes(32)],
        ),
        refused(
            "welcome-without-confirmation",
            "None at all.",
            "dialler",
            "wrong-code",
            CODE,
            *both,
            confirmations=[right.confirmations[0], b""],
        ),
        refused(
            "welcome-reflected-confirmation",
            "The dialler's own.",
            "dialler",
            "wrong-code",
            CODE,
            *both,
            confirmations=diallers,
        ),
        refused(
            "claim-share-without-code",
            "A share is for a code only.",
            "listener",
            "protocol",
            KNOWN,
            shares=[b"A", b""],
        ),
        refused(
            "challenge-share-without-code", "So is the answer.", "dialler", "protocol", KNOWN, shares=[b"", b"B"]
        ),
        refused(
            "proof-confirmation-without-code",
            "So is a confirmation.",
            "listener",
            "protocol",
            KNOWN,
            confirmations=[bytes(32), b""],
        ),
        refused(
            "welcome-confirmation-without-code",
            "On both sides.",
            "dialler",
            "protocol",
            KNOWN,
            confirmations=[b"", bytes(32)],
        ),
        refused("claim-unknown-method", "3 is none.", "listener", "protocol", 3),
        refused("unknown-caller", "A listener that knows nobody.", "listener", "unknown-caller", KNOWN, known=False),
        guesses(
            "guesses-ten",
            "Wrong ones do not end a code: then the right one is still right.",
            *[(wrong, "wrong-code")] * 10,
            (SPOKEN, "admitted"),
        ),
        guesses(
            "guesses-short-code",
            "Of a code that is so short, only three may be tried at once, right or wrong.",
            *[("7-a-c", "wrong-code")] * 3,
            ("7-a-c", "later"),
            ("7-a-b", "later"),
            used="7-a-b",
        ),
        guesses(
            "guesses-spelling",
            "However it is written down.",
            (" 42 Beeswax_CARAVAN! ", "admitted"),
            ("\uff14\uff12-beeswax--caravan", "admitted"),
        ),
        code("plain", "As it is shown.", SPOKEN, SPOKEN),
        code("spaces", "Whatever is no letter or digit parts words.", "  42 beeswax_caravan! ", SPOKEN),
        code("wide", "NFKC: as East Asian keyboards have it.", "\uff14\uff12-\uff22eeswax\u3000caravan", SPOKEN),
        code("folded", "Full case folding, not only lower case.", "7 Stra\u00dfe \u1e9e", "7-strasse-ss"),
        code("ligature", "NFKC comes before the folding.", "\u00b2 \ufb01sh \u2126", "2-fish-\u03c9"),
        code(
            "final-sigma",
            "Folding has one form of a letter.",
            "7 \u039f\u0394\u039f\u03a3 \u03a3",
            "7-\u03bf\u03b4\u03bf\u03c3-\u03c3",
        ),
        code(
            "digits",
            "Category N: digits of any script become 0 to 9, and numerals of Rome stay.",
            "\u0664\u0662-\u2183\u2183-lamp",
            "42-\u2184\u2184-lamp",
        ),
        code(
            "marks",
            "A mark (category M) that NFKC cannot join parts words.",
            "7 x\u0302yz-e\u0301tude",
            "7-x-yz-\u00e9tude",
        ),
        key("key-same", "The listener shows the key that is remembered.", BOB),
        key("key-changed", "Another: nothing is sent inside TLS.", MALLORY, error="key-changed"),
    ]
