"""`python -m hostler_dirty.conformance EXECUTOR [WORDS FOR THE SERVER…]`: run every check, and tell what holds."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence

from hostler_dirty.conformance import CHECKS, serving


def main(words: Sequence[str]) -> int:
    """0: all of them hold; 1: not all; 2: the words are wrong."""
    if not words or words[0].startswith("-"):
        sys.stderr.write("usage: python -m hostler_dirty.conformance EXECUTOR [WORDS FOR THE SERVER…]\n")
        return 2
    failed = 0
    with tempfile.TemporaryDirectory() as directory, serving(words[0], directory, words[1:]) as server:
        for name in CHECKS:
            try:
                server.check(name)
                sys.stdout.write(f"holds  {name}\n")
            except AssertionError as error:
                failed += 1
                sys.stdout.write(f"FAILS  {name}\n{error}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(CHECKS) - failed} of {len(CHECKS)} hold\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
