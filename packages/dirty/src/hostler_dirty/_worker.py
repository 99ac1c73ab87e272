"""The main of a worker: a fresh interpreter that waits for its orders, loads its apps, serves, and closes them.

It gets one descriptor, its control connection; with the BOOT frame come the shared page and the doorbell.
Nothing of an app is imported before the environment and the affinity of the slot are in place.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from hostler_dirty import _functions, _line, _place, _traits, _wire
from hostler_dirty._app import describe
from hostler_dirty._arena import Page
from hostler_dirty._hosting import Hosted, app_error, load_class
from hostler_dirty._line import Control
from hostler_dirty._runtime import Runtime
from hostler_dirty._runtime_words import page_octets
from hostler_dirty._wire import Frame, FrameReader

logger = logging.getLogger("hostler.dirty")


class Handle:
    """What the hooks get as `worker` in the worker."""

    def __init__(self, boot: dict[str, Any], apps: dict[str, Hosted]) -> None:
        self.pid = os.getpid()
        self.ppid = os.getppid()
        self.age: int = boot["generation"]
        self.generation: int = boot["generation"]
        self.slot: int = boot["slot"]
        self.app_paths: list[str] = boot["apps"]
        self.apps = {path: hosted.instance for path, hosted in apps.items()}
        self.log = logger
        self.env: dict[str, str] = boot["env"]


class _Forward(logging.Handler):
    """Log records go to the arbiter, which has the server's log; without an arbiter to standard error."""

    def __init__(self, control: Control) -> None:
        super().__init__()
        self._control = control

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001  (a log call with the wrong arguments, in an app)
            text = str(record.msg)
        if self._control.gone:
            sys.stderr.write(f"[{os.getpid()}] {text}\n")
        else:
            self._control.report("log", level=record.levelno, text=text)


def main(argv: Sequence[str] | None = None) -> None:
    """Arguments: the number of the control connection, or `probe` and that of a socket."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[0] == "probe":
        probe(int(words[1]))
        return
    for number in (
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGHUP,
        signal.SIGUSR1,
        signal.SIGTTIN,
        signal.SIGTTOU,
    ):
        signal.signal(number, signal.SIG_IGN)  # a terminal sends them to the whole group: the arbiter acts
    faulthandler.enable()
    sock = socket.socket(fileno=int(words[0]))
    boot, page_fd, doorbell = _await_boot(sock)
    control = Control(sock)
    _prepare(boot, control, doorbell)
    code = _serve(boot, control, Page(page_fd, octets=page_octets(boot["threads"])))
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # the disk is full, and the end is not to hang on that
            stream.flush()
    os._exit(code)  # threads of apps do not hold the end up


def _await_boot(sock: socket.socket) -> tuple[dict[str, Any], int, int]:
    reader = FrameReader(_line.CONTROL_LIMIT)
    fds: list[int] = []
    frames: list[Frame] = []
    while not frames:
        data, new = _line.receive_with(sock)
        if not data:
            raise SystemExit(0)  # the arbiter is gone
        fds += new
        frames = reader.feed(data)
    return _line.decode(frames[0].body), fds[0], fds[1]


def _prepare(boot: dict[str, Any], control: Control, doorbell: int) -> None:
    os.environ.update(boot["env"])
    sys.path[:] = boot["path"]
    os.chdir(boot["directory"])
    handler = _Forward(control)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(boot["log_level"])
    _confine(boot)
    _place.join(doorbell, boot["timeout"], boot["max_payload"])
    with contextlib.suppress(ImportError):
        from setproctitle import setproctitle  # noqa: PLC0415  (an optional nicety)

        setproctitle(f"{boot['title']}: dirty worker {boot['slot']}")


def _confine(boot: dict[str, Any]) -> None:
    """CPUs, niceness and limits of the process; what the system refuses is told, and the worker goes on without."""
    wanted: list[tuple[str, Callable[[], Any]]] = []
    if boot["affinity"] and hasattr(os, "sched_setaffinity"):
        wanted.append(("the CPUs", lambda: os.sched_setaffinity(0, boot["affinity"])))
    if boot["nice"]:
        wanted.append(("the niceness", lambda: os.nice(boot["nice"])))
    for name, kind in (("rlimit_as", resource.RLIMIT_AS), ("rlimit_nofile", resource.RLIMIT_NOFILE)):
        if boot[name]:
            both = (boot[name], boot[name])
            wanted.append((f"dirty_{name}", functools.partial(resource.setrlimit, kind, both)))
    for what, function in wanted:
        try:
            function()
        except (OSError, ValueError) as error:
            logger.warning("%s that were asked for are not to be had: %s", what, error)


def _serve(boot: dict[str, Any], control: Control, page: Page) -> int:
    apps: dict[str, Hosted] = {}
    runtime = Runtime(control, page, apps, boot)
    runtime.watch()

    def on_term(number: int, frame: FrameType | None) -> None:
        runtime.leave()

    signal.signal(signal.SIGTERM, on_term)
    current = ""
    try:
        for current in boot["apps"]:
            cls = load_class(current)
            _traits.check(current, describe(cls))
            apps[current] = Hosted(current, cls, boot["codec"])
            began = time.monotonic_ns()
            apps[current].open(runtime.loop)
            runtime.tally.tables[0].observe("init_seconds", (current,), time.monotonic_ns() - began)
        current = "dirty_worker_init"
        hook = _functions.find(boot["worker_init"])
        if hook is not None:
            hook(Handle(boot, apps))
    except BaseException as error:  # noqa: BLE001  (the wall around the apps' loading)
        told = app_error(error, current, "init")
        trace = "".join(traceback.format_exception(error))
        control.send(
            _wire.pack(
                _wire.INITFAIL,
                0,
                _line.encode(
                    {"app": current, "message": f"{told.error_type}: {told.message}", "traceback": trace}
                ),
            )
        )
        _close(apps, runtime)
        return 3
    # What the apps have loaded stays: the collector need not walk a model again and again in the middle of calls.
    gc.collect()
    gc.freeze()
    infos = {path: {**describe(hosted.cls), **hosted.spoken()} for path, hosted in apps.items()}
    control.send(_wire.pack(_wire.READY, 0, _line.encode({"apps": infos})))
    runtime.run()
    runtime.tally.tell()
    _close(apps, runtime)
    return 0


def _close(apps: dict[str, Hosted], runtime: Runtime) -> None:
    for hosted in reversed(list(apps.values())):
        try:
            hosted.close(runtime.loop)
        except BaseException:
            logger.exception("%s: close() failed", hosted.path)


def probe(fd: int) -> None:
    """Import the apps named on descriptor `fd` and write there what their classes say."""
    with socket.socket(fileno=fd) as sock:
        wanted = _line.decode(_line.receive_with(sock)[0])
        os.environ.update(wanted["env"])
        sys.path[:] = wanted["path"]
        os.chdir(wanted["directory"])
        found: dict[str, Any] = {}
        for path in wanted["apps"]:
            try:
                found[path] = {"info": describe(load_class(path))}
                _line.encode(found[path])
            except BaseException as error:  # noqa: BLE001  (the wall around the import of an app)
                found[path] = {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
        sock.sendall(_line.encode(found))
    os._exit(0)
