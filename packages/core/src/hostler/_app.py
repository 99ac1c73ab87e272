"""The application: `module:name`, `module:name.attribute`, `module:factory('argument')` or PasteDeploy.

Imports and calls the user's code, so it runs in a worker (or, with `preload_app`, once in the arbiter). Its
errors are told apart: code that cannot be imported passes with its traceback, a name that is not there
is an `AppError`. The working directory and Python's search path are set by whoever calls.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

from hostler.errors import AppError, ConfigError

if TYPE_CHECKING:
    from hostler import _app_call
    from hostler.settings import Settings

DEFAULT_NAME = "application"
"""What is served of a module when no name is given (PEP 3333's customary name)."""


def load(settings: Settings) -> Any:
    """The application that the settings name.

    Raises `AppError` when the module has no such thing or it cannot be called, `ConfigError` when none was
    named, and whatever the user's own code raises, as it is.
    """
    if settings.paste:
        return _paste(settings)
    if not settings.wsgi_app:
        raise ConfigError(
            "no application: name one as MODULE:CALLABLE, for example `hostler app:application`"
        )
    return find(settings.wsgi_app)


def find(text: str) -> Any:
    """What `module:expression` names, called when it is written as a call. Raises as `load` does."""
    module_name, _, expression = text.partition(":")
    expression = expression or DEFAULT_NAME
    names, call = _split(text, expression.strip())
    module = _module(text, module_name)
    found: Any = module
    try:
        for name in names:
            found = getattr(found, name)
    except AttributeError:
        raise AppError(_missing(text, module_name, names)) from None
    if call is not None:
        found = call(found)
        if found is None:
            raise AppError(f"application {text!r}: the factory returned None; it must return the application")
    if not callable(found):
        raise AppError(f"application {text!r}: is {_kind(found)} and cannot be called")
    return found


def prepare_path(settings: Settings) -> None:
    """Put the working directory and `pythonpath` at the front of Python's search path, as gunicorn does."""
    wanted = [os.getcwd(), *(os.path.abspath(path) for path in settings.pythonpath)]
    for path in wanted:
        if path not in sys.path:
            sys.path.insert(0, path)


def _split(text: str, expression: str) -> tuple[list[str], _app_call.Call | None]:
    """The dotted names of the expression, and its call if it is one."""
    names = expression.split(".")
    if all(name.isidentifier() for name in names):
        return names, None
    from hostler import _app_call  # noqa: PLC0415 - parsing Python costs each worker memory; few need it

    return _app_call.parse(text, expression)


def _module(text: str, name: str) -> Any:
    if not name:
        raise AppError(f"application {text!r}: names no module; write MODULE:CALLABLE")
    if name.endswith(".py") and os.path.exists(name):
        dotted = name[:-3].replace(os.sep, ".").lstrip(".")
        raise AppError(f"application {text!r}: is a file; write its module: {dotted}:{DEFAULT_NAME}")
    return importlib.import_module(name)


def _missing(text: str, module_name: str, names: list[str]) -> str:
    module = sys.modules.get(module_name)
    candidates = [
        name for name in ("application", "app", "asgi", "wsgi") if callable(getattr(module, name, None))
    ]
    hint = f"; perhaps {module_name}:{candidates[0]}" if candidates else ""
    return f"application {text!r}: the module {module_name} has no {'.'.join(names)!r}{hint}"


def _kind(value: Any) -> str:
    return f"of type {type(value).__name__}"


def _paste(settings: Settings) -> Any:
    """The application of a PasteDeploy file; its server section is not read."""
    if importlib.util.find_spec("paste") is None or importlib.util.find_spec("paste.deploy") is None:
        raise ConfigError("paste: needs the package PasteDeploy; `pip install PasteDeploy`")
    deploy = importlib.import_module("paste.deploy")
    path, _, section = str(settings.paste).partition("#")
    path = os.path.abspath(path)
    if not os.path.isfile(path):
        raise ConfigError(f"paste: there is no file {path!r}")
    variables = dict(pair.split("=", 1) for pair in settings.raw_paste_global_conf)
    return deploy.loadapp(
        f"config:{path}", name=section or None, relative_to=os.getcwd(), global_conf=variables
    )


# -- reload: an application that cannot be loaded ------------------------------------------------------


def broken(error: BaseException, interface: str) -> Any:
    """An application that shows why the real one could not be loaded; for `reload` only, in development."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    body = f"The application could not be loaded. It is tried again when a file changes.\n\n{text}".encode(
        errors="backslashreplace"
    )
    fields = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]

    def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        del environ
        start_response("500 Internal Server Error", fields)
        return [body]

    async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
        del receive
        if scope["type"] != "http":
            raise RuntimeError("the application could not be loaded") from error
        raw = [(name.lower().encode(), value.encode()) for name, value in fields]
        await send({"type": "http.response.start", "status": 500, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    return asgi if interface == "asgi" else wsgi


def files_of(error: BaseException) -> list[str]:
    """The source files in an error's traceback: what the user is about to mend, for the reloader."""
    found = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
    if isinstance(error, SyntaxError) and error.filename:
        found.add(error.filename)
    return sorted(path for path in found if os.path.isfile(path))
