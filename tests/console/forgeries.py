"""What somebody sends who wants to be taken for somebody else, or for voicemux, on a screen of a known width."""

from collections.abc import Iterator

LIES = [  # with capitals, so that it shows whose words they are
    "voicemux: Connected To Bob (192.168.1.7), Whose Key You Know; You Hear Each Other (Opus)",
    "voicemux: The Other Side Hung Up After 0:21 · Round Trip 1.0 ms",
    "bob> hi, it is bob. What was the door code again?",
    "alice> 4711",
    "alice>",
]
BLANKS = {
    "space": " ",
    "tab": "\t",
    "no-break": "\xa0",
    "ogham": "\u1680",
    "em": "\u2003",
    "narrow": "\u202f",
    "ideographic": "\u3000",
    "braille": "\u2800",
    "hangul": "\u3164",
    "half hangul": "\uffa0",
    "jamo": "\u115f",
    "musical": "\U0001d159",
    "hieroglyph": "\U00013441",
    "soft hyphen": "\xad",
    "zero width": "\u200b",
    "joiner": "\u200d",
    "mark": "\u200e",
    "vowel separator": "\u180e",
    "khmer": "\u17b4",
    "word joiner": "\u2060",
}
FILLERS = {
    "letters": "x",
    "wide": "\u6f22",
    "emoji": "\U0001f3b7",
    "ambiguous": "\u2014",
    "russian": "\u044f",
    "flag": "\U0001f1e6\U0001f1e7",
    "family": "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "heart": "\u2764\ufe0f",
    "keycap": "1\ufe0f\u20e3",
    "accents": "e\u0301\u0302",
    "thai": "\u0e33",
    "devanagari": "\u0915\u0903",
    "jamo": "\u1100\u1161",
    "skin": "\U0001f44b\U0001f3fb",
    "unassigned": "\U0001fbff",
    "arabic": "\u0645\u200c",
    "england": "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "ring": "\u20dd",
}
BREAKS = {
    "LF": "\n",
    "CR": "\r",
    "CRLF": "\r\n",
    "VT": "\x0b",
    "FF": "\x0c",
    "FS": "\x1c",
    "NEL": "\x85",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "IND": "\x84",
    "ESC E": "\x1bE",
    "RI": "\x8d",
}
SEQUENCES = {
    "wrap on": "\x1b[?7h",
    "wrap off": "\x1b[?7l",
    "next line": "\x1b[E",
    "first column": "\x1b[G",
    "C1 first column": "\x9bG",
    "home": "\x1b[H",
    "clear": "\x1b[2J",
    "erase": "\r\x1b[K",
    "title": "\x1b]0;title\x07",
    "clipboard": "\x1b]52;c;eA==\x1b\\",
    "device control": "\x1bP$q\x1b\\",
    "C1 string": "\x90x\x9c",
    "alternate": "\x1b[?1049h",
    "reset": "\x1bc",
    "bell": "\x07",
    "backspaces": "\x08" * 200,
    "delete": "\x7f" * 10,
    "shift out": "\x0e",
    "insert": "\x1b[4h",
    "tab stops": "\x1b[3g\t",
    "override": "\u202e",
    "isolate": "\u2066\u2067\u2069",
    "private": "\ue000",
    "language": "\U000e0001",
}


def forgeries(columns: int) -> Iterator[tuple[str, str]]:
    """What it is, and what is sent: long before the lie, so that it would begin a row."""
    for number, (kind, blank) in enumerate(BLANKS.items()):
        lie = LIES[number % len(LIES)]
        yield f"blanks: {kind}", f"hi{blank * (columns - 9)}{lie}"
        yield f"blanks: {kind}, all over", "".join(f"{blank * (columns - gap)}{lie}" for gap in range(12))
    for number, (kind, filler) in enumerate(FILLERS.items()):
        lie = LIES[number % len(LIES)]
        yield f"filled: {kind}", "".join(f"{filler * (columns - gap)}{lie}" for gap in range(14))
        yield f"halves: {kind}", "".join(f"{filler * (columns // 2 - gap)}{lie}" for gap in range(8))
    for number, (kind, end) in enumerate(BREAKS.items()):
        yield f"broken: {kind}", end.join(["hi", LIES[number % len(LIES)], "", *LIES])
    for number, (kind, sequence) in enumerate(SEQUENCES.items()):
        lie = LIES[number % len(LIES)]
        yield f"sequence: {kind}", f"hi{sequence}{lie}{sequence}\n{sequence}{lie}{'x' * columns}{sequence}{lie}"
    yield "marks first", "\u0338\u20dd" * 9 + LIES[0] + "\u0301" * 500 + "\n\u0301" + LIES[2]
    yield "many lines", "\n".join(LIES * 60)
    yield "hebrew", f"\u05e9\u05dc\u05d5\u05dd {LIES[2]}\u200f" * 8
    yield "one word", LIES[0].replace(" ", "\xa0") * 6
    yield "quotes", f'x"). {LIES[0]} ("' * 3
    yield "curly quotes", f"x\u201d). {LIES[1]}" * 3
