"""Where all threads of this process are, as text."""

from __future__ import annotations

import faulthandler
import tempfile


def dump() -> bytes:
    """The stacks of all threads, as faulthandler writes them."""
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file)
        file.seek(0)
        return file.read()
