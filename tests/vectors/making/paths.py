"""Section 17.8: which addresses of a PATHS are used, and how many."""

from typing import Any

from tests.vectors.making.writing import Entry, entry

OWN, SEEN, MAPPED = 1, 2, 3
HERE, INSIDE, SIX = ["198.51.100.2", 41394], ["10.0.0.7", 41394], ["2001:db8::2", 41394]
LATER, LAST = ["198.51.100.2", 41395], ["198.51.100.2", 41396]
THERE = [SEEN, "203.0.113.5", 50000]

Step = dict[str, Any]


def step(seen: list[Any], *paths: list[Any], used: tuple[int, ...] = (), at: float = 0.0) -> Step:
    """`used` are those of the paths that are used, by their places."""
    return {"at": at, "seen": seen, "paths": list(paths), "used": [paths[each][1:] for each in used]}


def paths() -> list[Entry]:
    def script(name: str, description: str, *steps: Step) -> Entry:
        return entry(name, "17.8", description, script=list(steps))

    strangers = [
        [SEEN, "127.0.0.1", 8689],
        [SEEN, "0.0.0.0", 8689],
        [SEEN, "0.1.2.3", 8689],
        [SEEN, "169.254.169.254", 8080],
        [SEEN, "224.0.0.251", 5353],
        [SEEN, "255.255.255.255", 8689],
        [SEEN, "240.0.0.1", 8689],
        [SEEN, "203.0.113.5", 1023],
    ]
    six = [
        [SEEN, "::1", 8689],
        [SEEN, "::", 8689],
        [OWN, "fe80::1", 8689],
        [SEEN, "ff02::fb", 8689],
        [SEEN, "::ffff:102:304", 8689],
        [SEEN, "2001:db8::5", 80],
        [OWN, "fd00::5", 8689],
    ]
    homes = [[OWN, "192.168.1.5", 8689], [OWN, "172.16.9.9", 8689], [OWN, "100.64.0.1", 8689]]
    many = [[SEEN, f"203.0.113.{each}", 50000] for each in range(20)]
    return [
        script("paths-of-strangers", "Those that are never used.", step(HERE, *strangers), step(SIX, *six, at=20)),
        script(
            "paths-global",
            "Those that anybody can reach.",
            step(HERE, THERE, [OWN, "203.0.113.9", 8689], [MAPPED, "203.0.113.5", 1024], used=(0, 1, 2)),
            step(SIX, [SEEN, "2001:db8::5", 50000], used=(0,), at=20),
        ),
        script(
            "paths-of-the-other-family",
            "The connection to the relay has one family.",
            step(HERE, [SEEN, "2001:db8::5", 50000], THERE, used=(1,)),
        ),
        script("paths-private", "They are in the receiver's own network.", step(HERE, THERE, *homes, used=(0,))),
        script(
            "paths-private-not-own",
            "What a relay on the Internet sees is not private.",
            step(HERE, [SEEN, "192.168.1.5", 8689], [MAPPED, "10.0.0.1", 8689]),
        ),
        script(
            "paths-same-router",
            "Both are behind the same router.",
            step(HERE, [SEEN, "198.51.100.2", 50000], *homes, used=(0, 1, 2, 3)),
        ),
        script(
            "paths-relay-inside",
            "The relay is in a private network, too.",
            step(INSIDE, [SEEN, "10.0.0.9", 50000], [OWN, "10.0.0.9", 50000], used=(1,)),
            step(INSIDE, THERE, [OWN, "10.0.0.9", 50000], used=(0,), at=20),
        ),
        script(
            "rounds-addresses",
            "Eight different ones in ten minutes.",
            step(HERE, *many[:6], used=tuple(range(6))),
            step(HERE, *many[4:12], used=(0, 1, 2, 3), at=20),
            step(HERE, *many[12:], at=40),
            step(HERE, *many[12:], used=tuple(range(8)), at=640),
        ),
        script(
            "rounds-flood",
            "Eight rounds in ten minutes, and eight PATHS on a connection.",
            *(step(HERE, THERE, used=(0,), at=each * 10.0) for each in range(6)),
            *(
                step([*HERE[:1], 41395], THERE, used=(0,) if each < 8 else (), at=each * 10.0)
                for each in range(6, 12)
            ),
            step(LAST, THERE, used=(0,), at=601.0),
        ),
    ]
