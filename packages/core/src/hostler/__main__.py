"""`python -m hostler`: the same as the command, and what the server itself uses to start anew."""

from __future__ import annotations

import sys

from hostler._cli import main

if __name__ == "__main__":
    sys.exit(main())
