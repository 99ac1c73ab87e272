"""What is to be known of the apps and the machine before the first worker: class attributes, tokens, executors."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hostler_dirty import _line
from hostler_dirty._member import MAIN
from hostler_dirty._placement import Need, Placement
from hostler_dirty.errors import DirtyConfigError

PATIENCE = 300.0
"""Seconds that the imports of all apps may take."""


async def probe(paths: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Path -> {"info": …} or {"error": …, "trace": …}, from a process that ends at once.

    The arbiter itself imports no app: a reload must find new code, and a model's libraries their own process.
    """
    ours, theirs = _line.pair()
    with ours, theirs:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", MAIN, "probe", str(theirs.fileno()),
                pass_fds=(theirs.fileno(),), stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        except OSError as error:
            unstarted = {"error": f"no process can be started: {error}", "trace": ""}
            return dict.fromkeys(paths, unstarted)
        theirs.close()
        order = {
            "apps": list(paths),
            "path": [entry or str(Path.cwd()) for entry in sys.path],
            "directory": str(Path.cwd()),
            "env": {},
        }
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(ours, _line.encode(order))
        told = b""
        try:
            while block := await asyncio.wait_for(loop.sock_recv(ours, 65536), PATIENCE):
                told += block
        except (asyncio.TimeoutError, ConnectionError):
            if process.returncode is None:
                process.kill()
        await process.wait()
    if told:
        return _line.decode(told)  # type: ignore[no-any-return]
    ended = {"error": f"the process that imported it ended with {process.returncode}", "trace": ""}
    return dict.fromkeys(paths, ended)


def resources(texts: Sequence[str]) -> dict[str, list[str]]:
    """`gpu=0,1` or `gpu=0*4` -> the tokens by name. Raises DirtyConfigError."""
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not name.strip():
            raise DirtyConfigError(
                f"dirty_resource: {text!r} is not of the form name=token,token or name=token*shares"
            )
        for value in values.split(","):
            token, star, shares = value.strip().partition("*")
            if not token or (star and not shares.isdigit()):
                raise DirtyConfigError(f"dirty_resource: {text!r}: {value!r} is no token")
            found.setdefault(name.strip(), []).extend([token] * (int(shares) if star else 1))
    return found


def deal(
    needs: Sequence[Need], placement: Placement, tokens: Mapping[str, list[str]]
) -> dict[int, dict[str, str]]:
    """Slot -> the environment that names its tokens. A slot keeps its tokens for ever."""
    left = {name: list(values) for name, values in tokens.items()}
    wanted = {need.path: need.resources for need in needs}
    env: dict[int, dict[str, str]] = {}
    for slot, apps in placement.table.items():
        for path in apps:
            for name, count in wanted.get(path, {}).items():
                pool = left.get(name, [])
                if len(pool) < count:
                    raise DirtyConfigError(f"{path} wants {count} of {name}, but dirty_resource has too few")
                mine = [pool.pop(0) for _ in range(count)]
                here = env.setdefault(slot, {})
                for variable in _variables(name):
                    here[variable] = ",".join(filter(None, (here.get(variable, ""), *dict.fromkeys(mine))))
    return env


def _variables(name: str) -> list[str]:
    own = f"HOSTLER_DIRTY_{name.upper()}"
    return [own, "CUDA_VISIBLE_DEVICES"] if name == "gpu" else [own]
