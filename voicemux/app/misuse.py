"""Finds options that other options make meaningless. They are refused, because ignoring them silently is not what the
user meant."""

from collections.abc import Collection, Mapping

VOICE_THAT_IS_SENT = (
    "--codec",
    "--bitrate",
    "--frame-ms",
    "--low-latency",
    "--bandwidth",
    "--start-muted",
    "--echo",
    "--noise-suppression",
    "--mic-mode",
    "--dtx",
)
DEVICES = ("--input", "--output", "--record", "--record-call", "--no-audio", "--no-tones", "--volume", "--mic-mode")
MAKING = "for codes that are made here"
NO_ANSWER = "no answer to a call can be typed, because standard input is sound"
NO_TYPING = "standard input and output are the call"
NO_INPUT = "an empty standard input"  # of a listener: standard input is /dev/null, or closed
NO_READER = "no answer to a call can be typed, and --auto-accept takes every one"

# Each rule: an option that is given, the options that are meaningless beside it, why, and the options that give them
# a meaning after all. An option with a value stands for that value only.
_RULES: tuple[tuple[str, Collection[str], str, Collection[str]], ...] = (
    ("--no-audio", (*VOICE_THAT_IS_SENT, "--max-delay", "--no-tones", "--volume"), "there is no voice", ()),
    ("--input none", VOICE_THAT_IS_SENT, "no voice is sent", ()),
    ("--output none", ("--max-delay",), "no voice is played", ("--record", "--record-call")),
    ("--output none", ("--echo",), "there is no loudspeaker", ()),
    ("--output none", ("--no-tones", "--volume"), "no loudspeaker plays", ()),
    ("--no-audio", ("--music",), "there is no sound", ()),
    ("--music", ("--echo", "--noise-suppression", "--dtx"), "nothing is taken out of music", ()),
    ("--output -", ("--no-tones",), "only a loudspeaker has tones", ()),
    ("--output -", ("--volume",), "only a loudspeaker has a volume", ()),
    ("--codec pcm", ("--bitrate",), "that is of Opus", ()),
    ("--codec pcm", ("--frame-ms 60",), "PCM has at most 40", ()),
    ("--frame-ms", ("--low-latency",), "both say how long packets are", ()),
    ("--json", ("--line-mode", "--bell"), "there is no terminal to write on", ()),
    ("--line-mode", ("--bell unfocused",), "the terminal is not asked for its focus", ()),
    ("--echo-test", (*DEVICES, "--start-muted", "--echo", "--noise-suppression", "--dtx"), "no device is used", ()),
    ("--echo-test", ("--ask", "--bell"), "every call is answered at once", ()),
    ("--echo-test", ("--music",), "the test has one channel", ()),
    ("--code", ("--code-words",), MAKING, ()),
    ("--open", ("--code-words",), MAKING, ()),
    ("--allow", ("--code-words",), MAKING, ()),
    ("--unencrypted", ("--code-words",), MAKING, ()),
    ("--unencrypted", ("--relay", "--relay-token"), "a relay would hear all that is said", ()),
    ("--stdio", ("--input -", "--output -", "--json", "--line-mode", "--bell", "--ask"), NO_TYPING, ()),
    ("--stdio", ("--open",), "no answer to a call can be typed there", ("--auto-accept",)),
    (
        "--stdio",
        ("--unix", "--host", "--port", "--announce", "--relay", "--relay-token"),
        "nothing else leads there",
        (),
    ),
    ("--stdio", ("--code-words",), "no one would see the code", ()),
    ("--stdio", ("--grace",), "another connection leads to another program", ()),
    ("--unix", ("--host", "--port", "--announce"), "the socket has no address in a network", ()),
    ("--input -", ("--ask",), NO_ANSWER, ()),
    ("--input -", ("--open",), NO_ANSWER, ("--auto-accept", "dial")),
    (NO_INPUT, ("--ask",), NO_READER, ()),
    (NO_INPUT, ("--open",), NO_READER, ("--auto-accept",)),
    ("--list", ("--json", "--junit", "--verbose", "--pid", "--run"), "no case is run", ()),
)


def contradiction(given: Mapping[str, object]) -> str:
    """Return a clause that names an option among `given` that means nothing; "" if there is none. The command's name
    may be among them: {"dial": True, "--input": "none"}."""
    facts = {*given, *(f"{name} {value}" for name, value in given.items())}
    for beside, useless, why, unless in _RULES:
        found = [each for each in useless if each in facts]
        if beside in facts and found and not facts.intersection(unless):
            return f"{found[0]} means nothing beside {beside}: {why}"
    return ""
