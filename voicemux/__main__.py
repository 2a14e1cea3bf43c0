"""The command `voicemux`, also run by `python -m voicemux`."""

import os
import sys

from voicemux.app.interrupts import disregard, end_at_once
from voicemux.app.standard_streams import drop_what_cannot_be_written


def main() -> None:
    """Run the command line. Signals end the program from the first moment on, because importing the rest takes a
    while."""
    end_at_once(holds_calls=sys.argv[1:2] in (["listen"], ["dial"], ["relay"]))
    # numpy's algebra would start a thread for each core, with 64 MB of addresses each; we need none.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from voicemux.app.cli import run_command_line

    try:
        run_command_line()
    finally:
        disregard()
        drop_what_cannot_be_written()


if __name__ == "__main__":
    main()
