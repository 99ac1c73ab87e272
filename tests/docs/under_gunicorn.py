"""The examples of the dirty pool under gunicorn's own dirty arbiter: nothing but their import lines is changed.

    python tests/docs/under_gunicorn.py

Run it with a Python that has gunicorn from 27 on and fastapi. Each README is followed as `test_dirty.py` does it, with
gunicorn where it says `server`; what installs and the unit tests, which need our executor `inline`, are left out.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from walk import Walk

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def changed(text: str) -> str:
    """The same, importing from gunicorn."""
    return re.sub(r"^from hostler_dirty", "from gunicorn.dirty", text, flags=re.MULTILINE)


def main() -> None:
    for name in ("embedding-service", "streaming-chat", "task-queue"):
        with tempfile.TemporaryDirectory() as directory:
            walk = Walk(Path(directory), (sys.executable, "-m", "gunicorn"), leave=("pip", "python"))
            walk.copy(EXAMPLES / name, changed)
            try:
                count = walk.follow((EXAMPLES / name / "README.md").read_text())
            finally:
                log = walk.end()
            print(f"{log}\n{name}: {count} commands, each answered as its README says\n")


if __name__ == "__main__":
    main()
