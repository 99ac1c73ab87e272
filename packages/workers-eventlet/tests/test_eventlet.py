"""The eventlet worker through the command line."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .conftest import until

WORKER = ("--worker-class", "eventlet")

TOGETHER = """
import eventlet
from eventlet import event, patcher

full, inside = event.Event(), []

def app(environ, start_response):
    if environ["PATH_INFO"] == "/together":
        inside.append(1)
        if len(inside) == 50:
            full.send()
        full.wait(60)
    start_response("200 OK", [])
    return [str(patcher.is_monkey_patched("socket")).encode()]
"""


def test_fifty_requests_at_once(server: Any) -> None:
    """All are in the application at the same time, and the standard library is cooperative."""
    running = server(TOGETHER, *WORKER)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: running.get("/together"), range(50)))
    assert set(answers) == {(200, b"True")}
    assert running.stop() == 0


def test_says_that_it_is_deprecated(server: Any) -> None:
    """At the start of each worker, with what to use instead."""
    running = server(TOGETHER, *WORKER)
    assert "the eventlet worker is deprecated" in running.log
    assert "--worker-class gevent or gthread" in running.log


def test_configuration_that_patches(server: Any, tmp_path: Path) -> None:
    """As users of gunicorn do: the arbiter goes on with its own loop."""
    configuration = tmp_path / "patched.py"
    configuration.write_text("import eventlet\n\neventlet.monkey_patch()\npreload_app = True\n")
    running = server(TOGETHER, *WORKER, "-c", str(configuration))
    assert running.get() == (200, b"True")
    running.process.send_signal(signal.SIGHUP)
    until(lambda: "reloaded: generation 2 serves" in running.log, "the reload")
    assert running.get() == (200, b"True")
    assert running.stop() == 0


def test_module_of_the_value_is_light() -> None:
    """Importing the package imports neither eventlet nor the loop."""
    code = "import sys, hostler_eventlet; assert not {'eventlet', 'hostler.drive'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
