"""The pool under test: a real arbiter in a forked process, its real workers, and this process as the caller."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from hostler.plugin import Bound
from hostler_dirty import _place, close_dirty_client
from hostler_dirty._control import control
from hostler_dirty._service import bind, serve, validate
from hostler_dirty._settings import DirtySettings

HERE = Path(__file__).parent
PATIENCE = 30.0


def wait_for(condition, what="the condition", seconds=PATIENCE):
    """Poll until the condition holds; its value."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not come about within {seconds:g} s")
        time.sleep(0.01)


class Context:
    """What the core gives a service, as its contract says."""

    def __init__(self, bound, ready_fd):
        self.settings = None
        self.bound = bound
        self.log = logging.getLogger("test.dirty")
        self.stopping = ""
        self.reloading = False
        self._ready_fd = ready_fd
        self.wakeup, self._write = os.pipe()
        os.set_blocking(self.wakeup, False)
        os.set_blocking(self._write, False)
        self._pending = []
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number, frame):
        self._pending.append(number)
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b"x")

    def ready(self, status=""):
        os.write(self._ready_fd, b"R")

    def report(self, status):
        pass

    def measure(self, name, value, kind="gauge"):
        with open(os.environ["DIRTY_NOTES"], "a", encoding="utf-8") as notes:
            notes.write(f"measure {name} {value} {kind}\n")

    def beat(self):
        pass

    def turn(self):
        with contextlib.suppress(BlockingIOError):
            os.read(self.wakeup, 1024)
        while self._pending:
            number = self._pending.pop(0)
            if number == signal.SIGHUP:
                self.reloading = True
            elif number == signal.SIGTERM:
                self.stopping = "graceful"
            else:
                self.stopping = "quick"

    def fork_reset(self):
        pass


class Setup:
    """What `bind` gets."""

    settings = None
    log = logging.getLogger("test.dirty")

    def __init__(self, directory):
        self._directory = directory

    def runtime_directory(self):
        return self._directory


class Pool:
    """One arbiter and its workers."""

    def __init__(
        self, apps, workers=1, extra_path=(), wait=True, environment=None, nofile=0, full=False, **settings
    ):
        """`full`: whatever is written to a log or to standard output finds no space."""
        self.directory = tempfile.mkdtemp(prefix="hostler-dirty-test-")
        self.notes = Path(self.directory) / "notes"
        self.environment = {"DIRTY_NOTES": str(self.notes), **(environment or {})}
        self.log = Path(self.directory) / "log"
        self.settings = DirtySettings(
            apps=tuple(apps), workers=workers, **{"graceful_timeout": 10.0, **settings}
        )
        self.paths = [*map(str, extra_path), str(HERE)]
        validate(self.settings)
        self.bound: Bound = bind(self.settings, Setup(self.directory))
        self.pid = 0
        self.exit = None
        self.nofile = nofile
        self.full = full
        self.join()
        self.start(wait=wait)

    def join(self):
        """This process calls this pool from now on."""
        _place.join(self.bound.descriptors["ring"], self.settings.timeout, self.settings.max_payload)

    def start(self, wait=True):
        """Fork the arbiter; wait until it is ready."""
        read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._child(read, write)
        os.close(write)
        self._ready = read
        self.exit = None
        if wait and not self.ready():
            raise AssertionError(f"the pool did not come up:\n{self.logged()}")

    def ready(self):
        """Wait for the arbiter's word; whether it came up."""
        came = os.read(self._ready, 1)
        os.close(self._ready)
        return came == b"R"

    def _child(self, read, write):
        code = 1
        try:
            os.close(read)
            if self.nofile:
                resource.setrlimit(resource.RLIMIT_NOFILE, (self.nofile, self.nofile))
            os.environ.update(self.environment)
            sys.path[:0] = self.paths
            log = "/dev/full" if self.full else self.log
            handler = logging.FileHandler(log)
            handler.setFormatter(logging.Formatter("%(message)s"))
            logger = logging.getLogger("test.dirty")
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)
            logger.propagate = False
            fd = os.open(log, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
            os.dup2(fd, 1)
            os.dup2(fd, 2)
            serve(Context(self.bound, write), self.settings)
            code = 0
        except BaseException:
            with open(self.log, "a", encoding="utf-8") as file:
                traceback.print_exc(file=file)
        finally:
            os._exit(code)

    # -- asking -----------------------------------------------------------------------------------------

    def ctl(self, *words):
        return control(self.settings, self.bound, words)

    def status(self):
        return self.ctl("status")

    def slot(self, index=0):
        return self.status()["slots"][index]

    def pids(self):
        return [slot["pid"] for slot in self.status()["slots"] if slot["pid"]]

    def noted(self, text=""):
        if not self.notes.exists():
            return []
        return [line for line in self.notes.read_text(encoding="utf-8").splitlines() if text in line]

    def logged(self):
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    def open(self, gate):
        """Let the actions go on that wait at this gate."""
        Path(f"{self.notes}.{gate}").touch()

    def idle(self):
        """Wait until no lease is out but those that callers keep, and nothing runs."""
        wait_for(lambda: not any(s["running"] for s in self.status()["slots"]), "an idle pool")

    def settled(self, generation=1, index=0):
        """Wait until the slot has a ready worker of this generation or a later one."""

        def there():
            slot = self.slot(index)
            return (
                slot
                if slot["state"] == "ready" and slot["generation"] >= generation and slot["pid"]
                else None
            )

        return wait_for(there, f"generation {generation} of slot {index}")

    # -- ending -----------------------------------------------------------------------------------------

    def signal(self, number):
        os.kill(self.pid, number)

    def wait(self):
        """Wait for the arbiter's end; its exit code."""
        if self.exit is None:

            def ended():
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                return None if not pid else (status,)

            self.exit = os.waitstatus_to_exitcode(wait_for(ended, "the arbiter's end", 60)[0])
        return self.exit

    def stop(self):
        if self.exit is None:
            with contextlib.suppress(ProcessLookupError):
                self.signal(signal.SIGTERM)
            self.wait()

    def close(self):
        close_dirty_client()
        self.stop()
        for fd in self.bound.descriptors.values():
            os.close(fd)
        _place.HERE.doorbell = -1
        shutil.rmtree(self.directory, ignore_errors=True)
