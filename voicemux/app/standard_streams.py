"""Who sits at standard input and the outputs: a person at a terminal, or nobody."""

import sys


def is_attended() -> bool:
    """Whether somebody sits at a terminal, to see what is shown and to answer."""
    terminals = [each is not None and each.isatty() for each in (sys.stdin, sys.stdout, sys.stderr)]
    return terminals[0] and any(terminals[1:])


def is_terminal() -> bool:
    """Whether what is typed and what is shown are on terminals."""
    return all(each is not None and each.isatty() for each in (sys.stdin, sys.stdout))


def can_ask() -> bool:
    """Whether a question is seen, and its answer typed by somebody."""
    return all(each is not None and each.isatty() for each in (sys.stdin, sys.stderr))
