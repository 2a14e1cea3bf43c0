"""Signals at random moments: `python -m tests.program.moments 1000` sends so many, and says what ended badly.

In every state a program can be in, SIGTERM ends it with exit code 0, SIGINT and SIGHUP with 130, within a second.
"""

import contextlib
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import voicemux
from tests.peers import wait_until
from tests.running import PATIENCE, Program, environment
from tests.warm_start import WarmProcess

LIMIT = 1.0  # seconds
CODES = {signal.SIGTERM: 0, signal.SIGINT: 130, signal.SIGHUP: 130}
QUIET = ("--no-audio", "--unencrypted")
Sends = Callable[[], None]  # waits for its moment and sends the signal


@dataclass
class Ending:
    seconds: float
    code: int
    err: list[str]
    out: list[str]


def stop(process: subprocess.Popen[bytes] | WarmProcess, number: signal.Signals) -> float:
    """How many seconds it took to end, without those in which others had the processor."""
    began, before = time.monotonic(), starved(process.pid)
    without = 0.0
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
    while process.poll() is None:
        if time.monotonic() > began + PATIENCE:
            raise subprocess.TimeoutExpired(process.args, PATIENCE)
        without = max(
            without, max((delay - before.get(task, 0) for task, delay in starved(process.pid).items()), default=0)
        )
        time.sleep(0.01)
    return time.monotonic() - began - without


def let_pass(dice: random.Random, most: float) -> None:
    """Any moment of so many seconds: whatever the program does then must do."""
    time.sleep(dice.uniform(0, most))


def starved(pid: int) -> dict[str, float]:
    """For how many seconds each thread has waited for a processor, where the system says so."""
    delays = {}
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
                delays[task] = int(file.read().split()[1]) / 1e9
    return delays


def is_caught(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler of its own."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        (mask,) = [line.split()[1] for line in file if line.startswith("SigCgt:")]
    return bool(int(mask, 16) >> (number - 1) & 1)


def end(program: Program, number: signal.Signals) -> Ending:
    seconds = stop(program.process, number)
    return Ending(seconds, program.wait(), program.err, program.out)


def while_it_starts(dice: random.Random, number: signal.Signals) -> Ending:
    role = dice.choice((("listen", "--port", "0"), ("dial", "localhost:1")))
    with Program(*role, *QUIET, fresh=True) as program:
        let_pass(dice, 1.0)
        if program.process.poll() is not None:  # nobody listens there
            return Ending(0, CODES[number], [], [])
        is_ready = is_caught(program.process.pid, signal.SIGTERM)
        try:
            ending = end(program, number)
        except subprocess.TimeoutExpired:
            if is_ready:
                raise
            return Ending(0, CODES[number], [], [])  # Python forgets one in 500 that come before it runs our code
    if not [line for line in ending.err if line.startswith("voicemux: ")] and ending.code in (1, -number):
        return Ending(ending.seconds, CODES[number], [], [])  # Python itself was not ready
    if ending.code == 3 and ending.err[-1].startswith("voicemux: cannot reach"):  # it was faster
        return Ending(0, CODES[number], [], [])
    return ending


def while_it_listens(dice: random.Random, number: signal.Signals) -> Ending:
    with Program("listen", "--port", "0", "--host", "127.0.0.1", "--no-audio") as program:
        program.notice_with("listening")
        let_pass(dice, 0.1)
        return end(program, number)


def while_it_dials_into_the_void(dice: random.Random, number: signal.Signals) -> Ending:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, contextlib.ExitStack() as stack:
        for _ in range(3):  # more than it takes: the next is not answered
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        with Program("dial", f"127.0.0.1:{server.getsockname()[1]}", *QUIET) as program:
            program.notice_with("calling")
            let_pass(dice, 0.3)
            return end(program, number)


def while_nobody_answers_to_tls(dice: random.Random, number: signal.Signals) -> Ending:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with Program("dial", address, "7-quiet-test", "--no-audio") as program, server.accept()[0]:
            let_pass(dice, 0.3)
            return end(program, number)


def while_it_rings_there(dice: random.Random, number: signal.Signals) -> Ending:
    with Program("listen", "--port", "0", "--host", "127.0.0.1", "--no-audio", "--open", "--json") as bob:
        address = bob.event("listening")["dial"][0].split()[2]
        with Program("dial", address, "--open", "--no-audio", env={"VOICEMUX_CODE": ""}) as program:
            if dice.random() < 0.5:
                program.notice_with("it rings")
                let_pass(dice, 0.3)
                return end(program, number)
            bob.event("ringing")
            let_pass(dice, 0.3)
            return end(bob, number)


@contextlib.contextmanager
def called(program: Program) -> Iterator[voicemux.Call]:
    """A call with a listener, from here."""
    port = program.notice_with("listening").split("port ")[1].split()[0]
    with (
        tempfile.TemporaryDirectory() as home,
        voicemux.dial(f"127.0.0.1:{port}", plain=True, audio=False, home=home) as call,
    ):
        yield call


def in_a_call(dice: random.Random, number: signal.Signals) -> Ending:
    with Program("listen", "--port", "0", "--host", "127.0.0.1", *QUIET) as program, called(program) as call:
        if dice.random() < 0.5:
            program.notice_with("connected")
        call.send("hi")
        let_pass(dice, 0.2)
        return end(program, number)


def in_a_call_that_it_dialled(dice: random.Random, number: signal.Signals) -> Ending:
    with voicemux.listen(host="127.0.0.1", port=0, plain=True, audio=False) as listener:
        address = f"127.0.0.1:{listener.port}"
        callers = iter(listener)
        with Program("dial", address, *QUIET) as program, next(callers):
            let_pass(dice, 0.3)
            return end(program, number)


def when_a_call_ends(dice: random.Random, number: signal.Signals) -> Ending:
    """Within some 10 ms before and after its end."""
    with Program("listen", "--port", "0", "--host", "127.0.0.1", *QUIET) as program, called(program) as call:
        program.notice_with("connected")
        closing = threading.Thread(target=call.close)
        closing.start()
        let_pass(dice, 0.03)
        ending = end(program, number)
        closing.join()
        return ending


def when_a_call_has_just_ended(dice: random.Random, number: signal.Signals) -> Ending:
    with Program("listen", "--port", "0", "--host", "127.0.0.1", *QUIET) as program:
        with called(program):
            pass
        program.notice_with("after")
        let_pass(dice, 0.01)
        return end(program, number)


def while_nobody_reads(dice: random.Random, number: signal.Signals) -> Ending:
    """Standard output and standard error are full pipes."""
    with contextlib.ExitStack() as stack:
        pipes = [os.pipe() for _ in range(2)]
        for pipe in pipes:
            for each in pipe:
                stack.callback(os.close, each)
        home = stack.enter_context(tempfile.TemporaryDirectory())
        with socket.create_server(("127.0.0.1", 0)) as finder:
            port = finder.getsockname()[1]
        listen = [sys.executable, "-m", "voicemux", "listen", "--port", str(port), "--host", "127.0.0.1", *QUIET]
        out, err = pipes[0][1], pipes[1][1]
        full = dice.choice(((out,), (err,), (out, err)))
        for each in full:
            os.set_blocking(each, False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(each, b"x" * 4096)
            os.set_blocking(each, True)
        process = subprocess.Popen(listen, stdin=subprocess.PIPE, stdout=out, stderr=err, env=environment(home))
        assert process.stdin
        stack.callback(process.stdin.close)
        try:
            if err not in full:
                deadline = time.monotonic() + PATIENCE
                while time.monotonic() < deadline:
                    with contextlib.suppress(voicemux.VoicemuxError):
                        call = voicemux.dial(f"127.0.0.1:{port}", plain=True, audio=False, home=home)
                        stack.callback(call.close)
                        call.send("hi\n" * 100)
                        break
            wait_until(lambda: is_caught(process.pid, signal.SIGTERM), PATIENCE)  # before, Python is not ready
            let_pass(dice, 2)  # then it hangs in its first notice
            return Ending(stop(process, number), process.returncode, [], [])
        finally:
            process.kill()
            process.wait()


STATES = [
    while_it_starts,
    while_it_listens,
    while_it_dials_into_the_void,
    while_nobody_answers_to_tls,
    while_it_rings_there,
    in_a_call,
    in_a_call_that_it_dialled,
    when_a_call_ends,
    when_a_call_has_just_ended,
    while_nobody_reads,
]


def fault(state: Callable[[random.Random, signal.Signals], Ending], seed: str, slack: float = 0.0) -> str:
    """What is wrong with how a program ended; empty if nothing. A busy machine may add `slack` seconds."""
    dice = random.Random(seed)
    number = dice.choice(list(CODES))
    try:
        ending = state(dice, number)
    except subprocess.TimeoutExpired:
        return f"{seed}: {number.name} was lost"
    if ending.code != CODES[number]:
        return f"{seed}: {number.name} gave {ending.code} after {ending.seconds:.2f} s: {ending.err}"
    if any("Traceback" in line or "Exception" in line for line in ending.err):
        return f"{seed}: {number.name}: {ending.err}"
    if ending.seconds > LIMIT + slack:
        return f"{seed}: {number.name} took {ending.seconds:.2f} s: {ending.err}"
    return ""


def main(times: int, slack: float) -> None:
    faults, skipped = Counter[str](), 0
    began = time.monotonic()
    for count in range(times):
        state = STATES[count % len(STATES)]
        try:
            wrong = fault(state, f"{state.__name__} {count}", slack)
        except (queue.Empty, EOFError, voicemux.VoicemuxError) as error:  # the machine was too busy to get there
            skipped += 1
            print(f"{state.__name__} {count}: {error!r}", flush=True)
            continue
        if wrong:
            faults[state.__name__] += 1
            print(wrong, flush=True)
        if count % 50 == 49:
            print(f"{count + 1} of {times}, {faults.total()} wrong, {time.monotonic() - began:.0f} s", flush=True)
    print(f"{times - skipped} signals, {faults.total()} wrong: {dict(faults)}")


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)
