"""The picture in README.md: two terminals in a call, as the console draws them on a screen that tests can read.

python -m tests.console.picture draws it anew.
"""

from html import escape
from pathlib import Path

from tests.console.test_terminal import ENTER, Terminal
from voicemux.events import Answered, Calling, CallRinging, Connected, Event, Listening, TextReceived, Voice

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "call.svg"
COLUMNS, ROWS = 92, 12  # of each terminal: nothing scrolls away
CELL, LEADING = 8.4, 19  # pixels, of a monospaced font of 14
EDGE, BAR = 14, 30  # pixels around the text, and of a window's title
COMMAND = "voicemux dial 192.168.1.5 42-beeswax-caravan-tiger"

LISTENING = Listening(8689, ["192.168.1.5"], [COMMAND], "42-beeswax-caravan-tiger")
RINGING = CallRinging("alice", "192.168.1.7", True, "", "code")
BOB_CONNECTED = Connected("alice", "192.168.1.7", "", "opus", "opus", "code", [], Voice(True), Voice(True), "", True)
ALICE_CONNECTED = Connected("bob", "192.168.1.5", "", "opus", "opus", "code", [], Voice(True), Voice(True), "", True)

BOB: list[Event | str] = [LISTENING, RINGING, "/accept", Answered("alice", "192.168.1.7", True), BOB_CONNECTED]
BOB += ["hi! can you hear me?", TextReceived("alice", "loud and clear")]
ALICE: list[Event | str] = [Calling("192.168.1.5"), CallRinging("", "192.168.1.5"), ALICE_CONNECTED]
ALICE += [TextReceived("bob", "hi! can you hear me?"), "loud and clear"]


def screen(name: str, script: list[Event | str], draft: str = "") -> list[str]:
    """The rows of a terminal whose user saw the events and typed the lines of `script`, and now types `draft`."""
    with Terminal(COLUMNS, ROWS, name) as terminal:
        terminal.start()
        terminal.wait_for_last(f"{name}>")
        for each in script:
            if isinstance(each, str):
                terminal.type(each.encode() + ENTER)
                terminal.command()
            else:
                terminal.show(each)
            terminal.wait_for_last(f"{name}>")
        terminal.type(draft)
        terminal.wait_for_last(f"{name}> {draft}".rstrip())
        return terminal.lines


def svg() -> str:
    windows = [
        ("bob$ voicemux listen", screen("bob", BOB)),
        (f"alice$ {COMMAND}", screen("alice", ALICE, "and half of what I ty")),
    ]
    width, height = round(COLUMNS * CELL) + 2 * EDGE, BAR + ROWS * LEADING + EDGE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {2 * height + EDGE}"'
        ' font-family="ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace" font-size="14">'
    ]
    for number, (title, rows) in enumerate(windows):
        top = number * (height + EDGE)
        parts += [
            f'<rect y="{top}" width="{width}" height="{height}" rx="8" fill="#1b1f24"/>',
            f'<text x="{EDGE}" y="{top + 20}" fill="#8b949e">{escape(title)}</text>',
            f'<line x2="{width}" y1="{top + BAR}" y2="{top + BAR}" stroke="#30363d"/>',
        ]
        for row, text in enumerate(rows):
            colour = "#8b949e" if text.startswith("voicemux") else "#e6edf3"
            parts.append(
                f'<text x="{EDGE}" y="{top + BAR + LEADING * (row + 1)}" fill="{colour}" xml:space="preserve"'
                f' textLength="{CELL * len(text):.1f}">{escape(text)}</text>'
            )
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(svg(), encoding="utf-8")
