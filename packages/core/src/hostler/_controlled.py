"""The arbiter as its operator sees it: what `hostler ctl` reads and what it may ask for. Plain values only."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hostler import _signals
from hostler.__about__ import __version__
from hostler._children import Child
from hostler._control import Pending, Refused
from hostler._deadlines import DUMP, read_stacks
from hostler._nursery import signal_child
from hostler._reloading import IDLE

if TYPE_CHECKING:
    from hostler._arbiter import Arbiter

RELOAD_PATIENCE = 600.0
"""Seconds that a client waits for a reload: an application may take long to import."""
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Face:
    """What the control socket needs of an arbiter."""

    def __init__(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter
        self._state = arbiter.state

    # -- to read ---------------------------------------------------------------------------------------

    def status(self) -> Mapping[str, Any]:
        """The whole server."""
        state = self._state
        settings = state.settings
        reload = self._arbiter.reloading.result
        ready = [child for child in state.children.staying(state.plan.generation) if child.ready]
        return {
            "pid": os.getpid(),
            "version": __version__,
            "name": settings.proc_name or settings.default_proc_name,
            "uptime": time.monotonic() - state.started,
            "state": self._word(),
            "listeners": [listener.name for listener in state.plan.listeners],
            "wanted": state.target,
            "ready": len(ready),
            "generation": state.plan.generation,
            "reload": {"none": "", "failed": reload["reason"]}.get(reload["state"], reload["state"]),
            "reload_state": reload["state"],
            "upgrade": self._arbiter.upgrade.pid,
            "services": [self._service(child) for child in state.children.services()],
            "events": [{"time": at, "text": text} for at, text in state.events],
        }

    def _word(self) -> str:
        if self._state.stopping:
            return "stopping"
        if self._arbiter.reloading.phase != IDLE:
            return "reloading"
        return "serving" if self._state.ready else "booting"

    def _service(self, child: Child) -> dict[str, Any]:
        said = self._state.page.said(child.slot)
        return {"name": child.name, "pid": child.pid, "state": _state_of(child), "status": said}

    def workers(self) -> Sequence[Mapping[str, Any]]:
        """Every worker, oldest first."""
        return [self._worker(child, time.monotonic()) for child in self._state.children.workers()]

    def _worker(self, child: Child, now: float) -> dict[str, Any]:
        page, timeout = self._state.page, child.handle.timeout
        deadline = page.deadline[child.slot]
        known = child.ready and timeout and deadline < math.inf
        rss, cpu = usage(child.pid)
        load = page.load[child.slot]
        return {
            "pid": child.pid,
            "slot": child.slot,
            "age": child.age,
            "generation": child.generation,
            "state": _state_of(child),
            "uptime": now - child.started,
            "requests": page.requests[child.slot],
            "active": page.active[child.slot],
            "connections": load if load < 1 << 61 else 0,
            "beat": max(0.0, now - (deadline - timeout)) if known else None,
            "rss": rss,
            "cpu": cpu,
        }

    def service(self, name: str) -> Mapping[str, Any] | None:
        """What the command needs to ask a service itself; None when there is no such service."""
        plan = self._state.plan
        if name not in plan.bound:
            return None
        own = plan.configuration.own.get(name)
        plain = dataclasses.asdict(own) if dataclasses.is_dataclass(own) and not isinstance(own, type) else {}
        return {"values": dict(plan.bound[name].values), "settings": plain}

    # -- to ask for ------------------------------------------------------------------------------------

    def reload(self) -> Pending:
        """Begin a reload; answered when it is over."""
        if self._state.stopping:
            raise Refused("the server is stopping")
        reloading = self._arbiter.reloading
        wanted = reloading.over + (2 if reloading.phase != IDLE else 1)
        reloading.request()

        def poll() -> Mapping[str, Any] | None:
            if self._state.stopping:
                raise Refused("the server is stopping")
            if reloading.over < wanted:
                return None
            if reloading.result["state"] == "failed":
                raise Refused(f"reload failed: {reloading.result['reason']}")
            return dict(reloading.result)

        return Pending(poll, RELOAD_PATIENCE)

    def change_workers(self, by: int) -> Mapping[str, Any]:
        """More or fewer workers."""
        self._arbiter.add_workers(by)
        return {"wanted": self._state.target}

    def stacks(self, pid: int) -> Pending:
        """Ask one child for the stacks of its threads."""
        child = self._state.children.get(pid)
        if child is None:
            raise Refused(f"no worker has the process id {pid}")
        if not child.ready:
            raise Refused("it is still starting")
        before = os.fstat(child.stacks).st_size
        signal_child(child, _signals.STACKS)
        asked = time.monotonic()

        def poll() -> Mapping[str, Any] | None:
            if time.monotonic() - asked < DUMP:
                return None
            text = read_stacks(child, before)
            return {"text": text} if text else None

        return Pending(poll)

    def reopen_logs(self) -> Mapping[str, Any]:
        """As USR1."""
        self._arbiter.reopen_logs()
        return {}

    def stop(self, quick: bool) -> Mapping[str, Any]:
        """As TERM or QUIT."""
        self._arbiter.stop(graceful=not quick)
        return {}


def _state_of(child: Child) -> str:
    if child.stuck_stage:
        return "stuck"
    if child.stopping:
        return "stopping"
    return "ready" if child.ready else "booting"


def usage(pid: int) -> tuple[int | None, float | None]:
    """Resident octets and CPU seconds of a process; None where the system does not tell."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name in brackets may hold anything; what follows it are numbers.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None, None
    return int(fields[21]) * _PAGE, (int(fields[11]) + int(fields[12])) / _TICKS
