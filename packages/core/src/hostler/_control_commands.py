"""What `hostler ctl` can ask: the commands, in terms of what an arbiter offers. Words come checked to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from hostler._control import Command, Pending, Refused

MOST = 1000
"""Workers that one command may add or remove."""


class Controlled(Protocol):
    """The arbiter, as the control socket sees it. Values are plain: they become JSON."""

    def status(self) -> Mapping[str, Any]:
        """`pid`, `version`, `name`, `uptime` (s), `state` (`booting`, `serving`, `reloading`, `stopping`),
        `listeners` (names), `wanted` and `ready` (numbers of workers), `generation`, `reload` (`""`, `running`,
        `ok` or the reason of the failure), `services` (list of `name`, `pid`, `state`, `status`), `events` (list
        of `time`, `text`, oldest first)."""

    def workers(self) -> Sequence[Mapping[str, Any]]:
        """Per worker: `pid`, `slot`, `age`, `generation`, `state`, `uptime`, `requests`, `active`,
        `connections`, `beat` (s since the last sign of life), `rss` (octets), `cpu` (s)."""

    def reload(self) -> Pending:
        """Begin a reload; done when the new generation serves. Its poll raises `Refused` with the reason."""

    def change_workers(self, by: int) -> Mapping[str, Any]:
        """More or fewer workers; returns `wanted`."""

    def stacks(self, pid: int) -> Pending:
        """Ask one worker for the stacks of its threads; its poll returns `{"text": …}`."""

    def reopen_logs(self) -> Mapping[str, Any]: ...

    def stop(self, quick: bool) -> Mapping[str, Any]: ...

    def service(self, name: str) -> Mapping[str, Any] | None:
        """What the command needs to ask a service itself: `values` (of its `Bound`) and `settings` (plain)."""


def commands(arbiter: Controlled) -> dict[str, Command]:
    """Name -> command, for `ControlServer`."""
    return {
        "status": _alone("status", lambda: {**arbiter.status(), "workers": list(arbiter.workers())}),
        "workers": _alone("workers", lambda: list(arbiter.workers())),
        "reload": _alone("reload", arbiter.reload),
        "add": lambda words: arbiter.change_workers(_number("add", words)),
        "remove": lambda words: arbiter.change_workers(-_number("remove", words)),
        "stacks": lambda words: arbiter.stacks(_pid(words)),
        "reopen-logs": _alone("reopen-logs", arbiter.reopen_logs),
        "stop": lambda words: arbiter.stop(_quick(words)),
        "service": lambda words: _service(arbiter, words),
    }


def _alone(name: str, call: Callable[[], Any]) -> Command:
    def command(words: Sequence[str]) -> Any:
        if words:
            raise Refused(f"{name}: takes no further words")
        return call()

    return command


def _pid(words: Sequence[str]) -> int:
    if len(words) != 1 or not words[0].isdigit():
        raise Refused("stacks: name one worker by its process id")
    return int(words[0])


def _quick(words: Sequence[str]) -> bool:
    if list(words) not in ([], ["graceful"], ["quick"]):
        raise Refused("stop: takes graceful (the default) or quick")
    return list(words) == ["quick"]


def _service(arbiter: Controlled, words: Sequence[str]) -> Mapping[str, Any]:
    if len(words) != 1:
        raise Refused("service: name one")
    found = arbiter.service(words[0])
    if found is None:
        raise Refused(f"there is no command and no running service {words[0]!r}")
    return found


def _number(name: str, words: Sequence[str]) -> int:
    if not words:
        return 1
    if len(words) != 1 or not words[0].isdigit() or not 1 <= int(words[0]) <= MOST:
        raise Refused(f"{name}: takes a number of workers from 1 to {MOST}")
    return int(words[0])
