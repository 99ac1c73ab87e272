"""The suite that an executor of the dirty pool has to pass, by the real command line.

    python -m hostler_dirty.conformance NAME        # a table of what holds

or, in the tests of an executor's own package:

    @pytest.fixture(scope="module")
    def server(tmp_path_factory):
        with serving("NAME", tmp_path_factory.mktemp("server")) as server:
            yield server

    @pytest.mark.parametrize("check", CHECKS)
    def test_conformance(server, check):
        server.check(check)

A check is a function without arguments that raises AssertionError; it may also be called in a process that has an
executor already, with the apps `APPS` and a `dirty_max_payload` of `LIMIT`.
"""

from __future__ import annotations

from collections.abc import Callable

from hostler_dirty.conformance import _awaited, _calls, _streams
from hostler_dirty.conformance._serving import Server, serving
from hostler_dirty.conformance.apps import PATHS as APPS

__all__ = ["APPS", "CHECKS", "LIMIT", "Server", "serving"]

LIMIT = _calls.LIMIT
CHECKS: dict[str, Callable[[], None]] = {
    check.__name__: check for check in (*_calls.CHECKS, *_streams.CHECKS, *_awaited.CHECKS)
}
"""Name -> check."""
