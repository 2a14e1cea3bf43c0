"""The command `voicemux`, and what `python -m voicemux` is."""

from voicemux.interrupts import disregard, end_at_once


def main() -> None:
    """The entry point. It is to end when asked to from its first moment on: to import the rest takes a while."""
    end_at_once()
    from voicemux.cli import main as run

    try:
        run()
    finally:
        disregard()


if __name__ == "__main__":
    main()
