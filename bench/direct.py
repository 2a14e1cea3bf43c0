"""How a call leaves its relay: python -m bench.direct [--calls 20] [--delay 0.01] [--random] [--answers] [--setup]

Both ends are the real program behind routers of Linux, in network namespaces. --delay is of each leg, so a round trip
to the relay or to each other takes four of them, and through the relay eight. --random: routers draw ports.
--answers: routers answer strangers with a reset, as some do.

--setup measures instead how long a code call through the relay takes until it is connected.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.audio.speech import tone
from tests.nat.world import RELAY, World, made
from tests.running import Program

PATIENCE = 60.0  # seconds for anything
STAYS = 5.0  # seconds after which a call stays with its relay
AFTERWARDS = 3.0  # seconds of voice behind
SOUND = 60  # seconds
NO_CODE = {"VOICEMUX_CODE": ""}
RESETS = "insert rule ip nat input iifname wan ct state new meta l4proto tcp reject with tcp reset"


@contextlib.contextmanager
def wan(world: World, delay: float) -> Iterator[None]:
    """Put a network with that delay in the place of the world's."""
    places = zip((world.relay, *world.routers), (RELAY, "198.51.100.11", "198.51.100.12"), strict=True)
    ends = [each for place in places for each in place]
    for namespace in ends[::2]:
        subprocess.run(["ip", "-n", namespace, "link", "del", "wan"], check=True)
    command = [sys.executable, "-m", "bench.wan", str(delay), *ends]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield
        process.communicate()


def unheard(trace: Path) -> list[int]:
    """Lengths of the runs of packets that have not come, or came too late to be played, from the first PATHS on. The
    packets of both connections are told by their numbers."""
    facts = [json.loads(line) for line in trace.read_text(encoding="utf-8").splitlines()]
    began = next((fact["t"] for fact in facts if fact.get("type") == "PATHS"), 0.0)
    facts = [fact for fact in facts if fact["t"] >= began]
    came = [fact for fact in facts if fact.get("type") == "AUDIO" and fact["way"] == "received"]
    heard = {(fact["sequence"] - came[0]["sequence"]) % 2**16 for fact in came}
    heard -= {(fact["number"] - came[0]["sequence"]) % 2**16 for fact in facts if fact["event"] == "not_played"}
    numbers = sorted(number for number in heard if number < 2**15)
    return [later - before - 1 for before, later in pairwise(numbers) if later - before > 1]


def one_call(world: World, folder: Path) -> dict[str, Any]:
    """What comes of a call."""

    def options(who: str) -> tuple[str, ...]:
        sound = ("--input", str(folder / "said.wav"), "--output", str(folder / f"{who}.wav"))
        return ("--json", "--name", who, *sound, "--trace", str(folder / f"{who}.trace"))

    for each in folder.glob("*.trace"):
        each.unlink()
    listens = ("listen", *options("bob"), "--relay", RELAY)
    with Program(*listens, env=NO_CODE, **world.at(world.bob)) as bob:
        code = bob.event("listening", PATIENCE)["dial"][0].split()[2:]
        with Program("dial", *code, *options("alice"), env=NO_CODE, **world.at(world.alice)) as alice:
            alice.event("connected", PATIENCE)
            began, seconds = time.monotonic(), None
            with contextlib.suppress(Exception):
                alice.event("direct", STAYS)
                seconds = time.monotonic() - began
            time.sleep(AFTERWARDS)
            alice.command(command="quit")
            alice.wait()
            with contextlib.suppress(Exception):
                bob.event("ended", PATIENCE)
    runs = {who: unheard(folder / f"{who}.trace") for who in ("alice", "bob")}
    longest = max((max(each) for each in runs.values() if each), default=0)
    return {"direct_s": seconds, "packets_unheard": runs, "gap_ms": 20 * longest}


def one_setup(world: World) -> float:
    """Seconds from `calling` to `connected` of a code call without sound, at the dialler."""
    quiet = ("--no-audio", "--json", "--name")
    listens = ("listen", *quiet, "bob", "--relay", RELAY)
    with Program(*listens, env=NO_CODE, **world.at(world.bob)) as bob:
        code = bob.event("listening", PATIENCE)["dial"][0].split()[2:]
        with Program("dial", *code, *quiet, "alice", env=NO_CODE, **world.at(world.alice)) as alice:
            alice.event("calling", PATIENCE)
            began = time.monotonic()
            alice.event("connected", PATIENCE)
            return time.monotonic() - began


def setups(world: World, calls: int, delay: float) -> None:
    """Print what they take."""
    with wan(world, delay), Program("relay", "--calls", "1000", **world.at(world.relay)) as relay:
        relay.notice_with("relay on port", PATIENCE)
        times = sorted(one_setup(world) for _ in range(calls))
    median, late = times[calls // 2], times[int(calls * 0.95)]
    print(f"connected after {median:.2f} s (median), {late:.2f} s (95 %), {times[0]:.2f} s (best)")
    print(
        f"of these on the way: {(2 * 4 + 5 * 8) * delay:.2f} s, for 2 round trips to the relay and 5 to the listener"
    )


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m bench.direct", description=__doc__)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--delay", type=float, default=0.01, help="seconds of each leg")
    parser.add_argument("--random", action="store_true", help="routers draw ports")
    parser.add_argument("--answers", action="store_true", help="routers answer strangers with a reset")
    parser.add_argument("--setup", action="store_true", help="how long a code call takes until it is connected")
    given = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as name, made("fully-random" if given.random else "") as world:
        with wave.open(f"{name}/said.wav", "wb") as file:
            file.setparams((1, 2, 48_000, 0, "NONE", ""))
            file.writeframes(tone(200, SOUND).tobytes())
        for router in world.routers if given.answers else ():
            subprocess.run(["ip", "netns", "exec", router, "nft", *RESETS.split()], check=True)
        if given.setup:
            setups(world, given.calls, given.delay)
            return
        with wan(world, given.delay), Program("relay", **world.at(world.relay)) as relay:
            relay.notice_with("relay on port", PATIENCE)
            for _ in range(given.calls):
                results.append(one_call(world, Path(name)))
                print(json.dumps(results[-1]), flush=True)
    times = sorted(each["direct_s"] for each in results if each["direct_s"] is not None)
    gaps = sorted(each["gap_ms"] for each in results)
    print(f"direct: {len(times)} of {len(results)} calls")
    if times:
        print(f"seconds until then: median {times[len(times) // 2]:.2f}, longest {times[-1]:.2f}")
    print(f"longest gap of a call in ms: median {gaps[len(gaps) // 2]:.0f}, longest {gaps[-1]:.0f}")


if __name__ == "__main__":
    main()
