"""A page is done as it is written: its files are made, its commands are run, what they answer is compared.

A fenced block whose first line is `# name.py` is that file, as a whole. In a `console` block the lines after `$ ` are
commands and the others what they say, in which `...` stands for anything. `server …` runs until the next one; what
the page shows of it has to appear in its log. Installing is left out: what it would install has to be here.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

PATIENCE = 60.0
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w.-]+\.(?:py|toml|txt))\n")
SHOWN = "127.0.0.1:8000"


class Walk:
    """A directory in which a page is followed."""

    def __init__(
        self, directory: Path, server: Sequence[str] = ("server",), leave: Sequence[str] = ()
    ) -> None:
        """`server`: what runs instead of the command of this name; `leave`: commands that are left out."""
        self.directory = directory
        self._words, self._leave = server, leave
        self._address = f"127.0.0.1:{free_port()}"
        self._shims = directory / ".shims"
        self._control = str(directory / ".ctl")
        self._log = directory / ".log"
        self._server: subprocess.Popen[bytes] | None = None
        self._shims.mkdir()
        shim = self._shims / "server"
        shim.write_text(
            f'#!/bin/sh\n[ "$1" = ctl ] && {{ shift; set -- ctl --control-socket {self._control} "$@"; }}\n'
            f'exec {sys.executable} -m hostler "$@"\n'
        )
        shim.chmod(0o755)
        self._environment = {
            **os.environ,
            "PATH": os.pathsep.join(map(str, [self._shims, Path(sys.executable).parent, os.environ["PATH"]])),
            "HOSTLER_BIND": self._address,
            "HOSTLER_CONTROL_SOCKET": self._control,
            "PYTEST_ADDOPTS": "-p no:cacheprovider",
        }

    def copy(self, directory: Path, change: Callable[[str], str] = str) -> None:
        """Begin with the files that a directory has."""
        for path in sorted(directory.rglob("*.py")):
            target = self.directory / path.relative_to(directory)
            target.parent.mkdir(exist_ok=True)
            target.write_text(change(path.read_text()).replace(SHOWN, self._address))

    def follow(self, page: str) -> int:
        """Do what the page says; how many commands that were."""
        count = 0
        for language, text in BLOCK.findall(page):
            text = text.replace(SHOWN, self._address)
            named = FILE.match(text)
            if language == "console":
                for command, said in commands(text):
                    self._do(command, said)
                    count += 1
            elif named:
                (self.directory / named[1]).write_text(text)
        return count

    def end(self) -> str:
        """Stop the server; its log."""
        self._stop()
        return self._log.read_text() if self._log.exists() else ""

    def _do(self, command: str, said: str) -> None:
        words = shlex.split(command)
        if words[0] in self._leave or command.startswith("python -m venv"):
            return
        if words[0] == "pip":
            for word in words[2:]:
                importlib.metadata.distribution(re.split(r"[\[<>=]", word)[0])
        elif words[0] == "server" and words[1] != "ctl":
            self._stop()
            with self._log.open("wb") as log:
                self._server = subprocess.Popen(
                    [*self._words, *words[1:]],
                    cwd=self.directory,
                    env=self._environment,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            self._shows(said or "ready: ...")
        else:
            done = subprocess.run(
                ["bash", "-c", command], cwd=self.directory, env=self._environment, capture_output=True, text=True,
                timeout=PATIENCE, check=False,
            )  # fmt: skip
            told = f"$ {command}\n{done.stdout}{done.stderr}\nThe page has:\n{said}"
            assert alike(said, done.stdout) if said else done.returncode == 0, told

    def _shows(self, said: str) -> None:
        """Wait until every line that is shown is in the log."""
        until = time.monotonic() + PATIENCE
        missing = [line for line in said.splitlines() if line.strip(". ")]
        while missing:
            assert self._server is not None
            assert self._server.poll() is None, self._log.read_text()
            assert time.monotonic() < until, f"{missing} is not in\n{self._log.read_text()}"
            log = self._log.read_text().splitlines()
            missing = [line for line in missing if not any(alike("..." + line, one) for one in log)]
            time.sleep(0.02)

    def _stop(self) -> None:
        if self._server is None:
            return
        self._server.send_signal(signal.SIGTERM)
        code = self._server.wait(PATIENCE)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._server.pid, signal.SIGKILL)  # what a server leaves behind
        self._server = None
        assert code == 0, self._log.read_text()


def free_port() -> int:
    """Below those that the kernel gives to clients: nobody may have it while the server starts again."""
    while True:
        port = random.randrange(15000, 30000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def commands(block: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with what the page shows of its answer."""
    for part in re.split(r"^\$ ", block.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
        command, _, said = part.partition("\n")
        yield command.partition("  # ")[0].strip(), said.strip()


def alike(shown: str, told: str) -> bool:
    """The same but for white space, where `...` is anything."""
    parts = ["".join(re.escape(word) + r"\s*" for word in part.split()) for part in shown.split("...")]
    return re.fullmatch(r"\s*" + ".*?".join(parts) + r"\s*", told, re.DOTALL) is not None
