"""What a caller of the pool can catch. Names and signatures are those that code written for gunicorn expects.

Every error can travel: `describe` makes a plain dictionary of it, `restore` makes the error again on the
other side. This module knows no socket and no codec.
"""

from __future__ import annotations

from typing import Any


class DirtyError(Exception):
    """The root of everything that a call into the pool raises for its caller."""

    def __init__(self, message: str = "", details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = details or {}

    def __str__(self) -> str:
        return self.message

    def to_dict(self) -> dict[str, Any]:
        """The error as gunicorn's users put it into an answer."""
        return {"error_type": type(self).__name__, "message": self.message, "details": self.details}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> DirtyError:
        """The error that `to_dict` told; an unknown type becomes a plain `DirtyError`."""
        details = dict(data.get("details") or {})
        error = restore({"kind": data.get("error_type", ""), "message": data.get("message"), **details})
        error.details = details
        return error


class DirtyTimeoutError(DirtyError):
    """The call's deadline passed; `stage` says where it was: `queue` (never executed), `run` or `stream`."""

    def __init__(
        self, message: str = "Operation timed out", timeout: float | None = None, stage: str = "run"
    ) -> None:
        super().__init__(message, {"timeout": timeout, "stage": stage})
        self.timeout = timeout
        self.stage = stage


class DirtyCancelledError(DirtyError):
    """The call was cancelled by its caller, or by a stop of the pool."""


class DirtyClientGoneError(DirtyCancelledError, ConnectionAbortedError):
    """The client of the request in which the call was made has left, so the call was cancelled."""

    def __init__(self, message: str = "The client has left; its call was cancelled") -> None:
        super().__init__(message)


class DirtyConnectionError(DirtyError):
    """There is no pool to talk to, or the connection to it broke before the call was accepted."""

    def __init__(self, message: str = "Connection failed", socket_path: str | None = None) -> None:
        super().__init__(message, {"socket_path": socket_path})
        self.socket_path = socket_path


class DirtyWorkerError(DirtyError):
    """The worker died while it executed the call.

    `details` holds `slot`, `generation`, `pid`, `signal`, `exit_code` and `reason` (`killed`, `exited`,
    `oom`, `timeout`), as far as they are known.
    """

    def __init__(
        self,
        message: str = "The worker died",
        worker_id: str | int | None = None,
        traceback: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, {"worker_id": worker_id, **(details or {})})
        self.worker_id = worker_id
        self.traceback = traceback


class DirtyAppError(DirtyError):
    """The action raised; `error_type` is the class's full name, `traceback` the text from the worker."""

    def __init__(
        self,
        message: str = "",
        app_path: str | None = None,
        action: str | None = None,
        traceback: str | None = None,
        error_type: str = "",
    ) -> None:
        DirtyError.__init__(self, message, {"app_path": app_path, "action": action, "error_type": error_type})
        self.app_path = app_path
        self.action = action
        self.traceback = traceback
        self.error_type = error_type


class DirtyNoWorkersAvailableError(DirtyError):
    """No worker that is ready hosts the app. `state` is `booting`, `backoff`, `failed` or `stopping`."""

    def __init__(
        self,
        app_path: str = "",
        message: str | None = None,
        state: str = "",
        retry_after: float | None = None,
        cause: str = "",
    ) -> None:
        text = message or f"No worker is ready for {app_path}" + (f" ({state})" if state else "")
        DirtyError.__init__(
            self, text, {"app_path": app_path, "state": state, "retry_after": retry_after, "cause": cause}
        )
        self.app_path = app_path
        self.state = state
        self.retry_after = retry_after
        self.cause = cause


class DirtyAppNotFoundError(DirtyAppError, DirtyNoWorkersAvailableError):  # type: ignore[misc]
    """The pool has no such app, or the app has no such action."""

    def __init__(self, app_path: str = "", action: str | None = None, message: str | None = None) -> None:
        text = message or f"The pool has no app {app_path!r}; the setting dirty_apps names those it has"
        DirtyAppError.__init__(self, text, app_path, action)
        self.state = "unknown"
        self.retry_after = None
        self.cause = ""


class DirtyQueueFullError(DirtyError):
    """The app's queue is full: try again after `retry_after` seconds."""

    def __init__(self, message: str = "The queue is full", retry_after: float | None = None) -> None:
        super().__init__(message, {"retry_after": retry_after})
        self.retry_after = retry_after


class DirtyPayloadTooLargeError(DirtyError):
    """An argument or a result is larger than `dirty_max_payload`; raised on the side that would send it."""

    def __init__(self, message: str = "The payload is too large", size: int = 0, limit: int = 0) -> None:
        super().__init__(message, {"size": size, "limit": limit})
        self.size = size
        self.limit = limit


class DirtySerializationError(DirtyError):
    """A value cannot be sent; `path` says which (`args[1]['key']`)."""

    def __init__(self, message: str = "The value cannot be sent", path: str = "") -> None:
        super().__init__(message, {"path": path})
        self.path = path


class DirtyStreamStalledError(DirtyError):
    """The reader of a stream took nothing for too long, and the stream was given up."""


class DirtyProtocolError(DirtyError):
    """The other side sent what the protocol does not allow, or speaks another version of it."""

    def __init__(self, message: str = "Protocol error", raw_data: bytes | None = None) -> None:
        super().__init__(message, {"raw_data": None if raw_data is None else bytes(raw_data[:64]).hex()})
        self.raw_data = raw_data


class DirtyUsageError(DirtyError):
    """The client is used in a way that cannot work; the message names the way that does."""


class DirtyConfigError(DirtyError):
    """An app or an executor is declared in a way that cannot work."""


class StashError(DirtyError):
    """An operation on the stash failed."""


class StashTableNotFoundError(StashError):
    """There is no such table."""

    def __init__(self, table_name: str = "") -> None:
        super().__init__(f"There is no stash table {table_name!r}", {"table_name": table_name})
        self.table_name = table_name


class StashKeyNotFoundError(StashError, KeyError):
    """The table has no such key. A `KeyError` too, as a mapping's user expects of `table[key]`."""

    def __init__(self, table_name: str = "", key: str = "") -> None:
        super().__init__(
            f"Stash table {table_name!r} has no key {key!r}", {"table_name": table_name, "key": key}
        )
        self.table_name = table_name
        self.key = key


class StashFullError(StashError):
    """The stash has reached `dirty_stash_limit`."""


_FIELDS: dict[type[DirtyError], tuple[str, ...]] = {
    DirtyTimeoutError: ("timeout", "stage"),
    DirtyCancelledError: (),
    DirtyConnectionError: ("socket_path",),
    DirtyWorkerError: ("worker_id", "traceback", "details"),
    DirtyAppError: ("app_path", "action", "traceback", "error_type"),
    DirtyNoWorkersAvailableError: ("app_path", "state", "retry_after", "cause"),
    DirtyAppNotFoundError: ("app_path", "action"),
    DirtyQueueFullError: ("retry_after",),
    DirtyPayloadTooLargeError: ("size", "limit"),
    DirtySerializationError: ("path",),
    DirtyStreamStalledError: (),
    DirtyProtocolError: (),
    DirtyUsageError: (),
    DirtyError: (),
    StashError: (),
    StashTableNotFoundError: ("table_name",),
    StashKeyNotFoundError: ("table_name", "key"),
    StashFullError: (),
}
_BY_NAME = {cls.__name__: cls for cls in _FIELDS}
_NO_MESSAGE = (StashTableNotFoundError, StashKeyNotFoundError)


def describe(error: DirtyError) -> dict[str, Any]:
    """The error as plain values that any codec can carry."""
    cls = next(c for c in type(error).__mro__ if c in _FIELDS)
    return {
        "kind": cls.__name__,
        "message": error.message,
        **{name: getattr(error, name, None) for name in _FIELDS[cls]},
    }


def restore(values: dict[str, Any]) -> DirtyError:
    """The error that `describe` described; an unknown kind becomes a plain `DirtyError`."""
    cls = _BY_NAME.get(values.get("kind", ""), DirtyError)
    fields = {name: values.get(name) for name in _FIELDS[cls]}
    message = values.get("message") or ""
    if issubclass(cls, _NO_MESSAGE):
        return cls(**{name: str(value) for name, value in fields.items()})
    return cls(message=message, **fields)
