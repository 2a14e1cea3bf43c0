"""One target under libFuzzer: `python -m fuzz.engine TARGET` and what libFuzzer takes. Needs atheris."""

import sys

import atheris

with atheris.instrument_imports(include=["voicemux"]):
    from fuzz.targets import TARGETS

if __name__ == "__main__":
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]])
    atheris.Fuzz()
