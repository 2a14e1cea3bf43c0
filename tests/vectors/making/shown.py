"""Section 12: text that people see."""

from tests.vectors.making.writing import Entry, entry


def shown() -> list[Entry]:
    def text(name: str, description: str, text: str, harmful: str) -> Entry:
        points = [f"{ord(character):04x}" for character in harmful]
        return entry(f"shown-{name}", "12", description, text=text, harmful=points)

    controls = "".join(map(chr, range(32)))
    late_controls = "".join(map(chr, range(0x7F, 0xA0)))
    bidirectional = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    separators = "\n\x0b\x0c\r\x1c\x1d\x1e\x85\u2028\u2029"
    invisible = "\u200b\u2060\u2064\u3164\uffa0\ufeff\U000e0041"
    return [
        text("plain", "Nothing is wrong with it.", "gr\u00fc\u00df dich \u6f22\u5b57 \U0001f3b7!", ""),
        text(
            "escape",
            "Colours, the title of the window, the clipboard.",
            "a\x1b[31mred\x1b]0;title\x07\x1b]52;c;eA==\x1b\\",
            "\x1b\x07",
        ),
        text("controls", "Each of C0.", controls, controls),
        text(
            "late-controls",
            "DEL and C1: some terminals take 9B for an escape sequence.",
            late_controls,
            late_controls,
        ),
        text("backspace", "Writing over what was there.", "no\x08\x08yes", "\x08"),
        text(
            "newlines",
            "Whatever begins a line that looks like the program's own.",
            f"hi{separators}* bob hung up",
            separators,
        ),
        text("bidirectional", "Text that stands elsewhere than it was written.", f"a{bidirectional}b", bidirectional),
        text(
            "ordinary-marks",
            "Right-to-left and left-to-right marks, joiners and a flag, as people type them: nothing is spelt out.",
            "\u05e9\u05dc\u05d5\u05dd!\u200f \u200eok\u200e \u0645\u06cc\u200c\u062e \U0001f469\u200d\U0001f4bb"
            " \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
            "",
        ),
        text(
            "wrapped",
            "A terminal of 80 columns that wraps it has a notice of the program in the first column.",
            f"hi{' ' * 78}* bob hung up",
            "",
        ),
        text(
            "blanks",
            "The same with blanks of another kind, each two cells wide.",
            f"hi{chr(0x3000) * 39}* bob hung up",
            "",
        ),
        text("invisible", "What shows nothing, and makes two names look the same.", f"bob{invisible}", invisible),
    ]
