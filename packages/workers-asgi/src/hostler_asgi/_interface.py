"""Whether an object can be called as an ASGI 3 application, and what to say when it cannot."""

from __future__ import annotations

import inspect
from typing import Any

from hostler.errors import AppError

WSGI_WORKERS = "sync, gthread or gevent"


def require_asgi(app: Any) -> None:
    """Refuse, in one line, an application of another interface; one that cannot be inspected is believed."""
    try:
        signature = inspect.signature(app)
    except (TypeError, ValueError):
        return
    if _takes(signature, 3):
        return
    if _takes(signature, 2):
        raise AppError(
            f"{_name(app)} is a WSGI application, which the worker class 'asgi' does not run: "
            f"use --worker-class {WSGI_WORKERS}, or wrap it (a2wsgi.WSGIMiddleware)"
        )
    if _takes(signature, 1):
        raise AppError(
            f"{_name(app)} is an ASGI 2 application (it takes only a scope): "
            "wrap it with asgiref.compatibility.guarantee_single_callable"
        )
    raise AppError(f"{_name(app)} is no ASGI application: it does not take (scope, receive, send)")


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _name(app: Any) -> str:
    name = getattr(app, "__qualname__", "") or type(app).__qualname__
    module = getattr(app, "__module__", "") or type(app).__module__
    return f"{module}.{name}"
