"""An application written as a call, `module:factory('argument', key=1)`: read without evaluating anything."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import partial
from typing import Any

from hostler.errors import AppError

Call = Callable[[Any], Any]
"""Calls the factory that it is given. Raises `AppError` when it cannot be called so."""


def parse(text: str, expression: str) -> tuple[list[str], Call | None]:
    """The dotted names of the expression, and its call if it is one. Raises `AppError` for anything else."""
    try:
        node: ast.expr = ast.parse(expression, mode="eval").body
    except SyntaxError:
        raise AppError(f"application {text!r}: {expression!r} is neither a name nor a call") from None
    call = node if isinstance(node, ast.Call) else None
    if call is not None:
        node = call.func
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise AppError(f"application {text!r}: {expression!r} is neither a name nor a call of one")
    return [node.id, *names], None if call is None else partial(_called, text, call)


def _called(text: str, call: ast.Call, factory: Any) -> Any:
    try:
        positional = [ast.literal_eval(argument) for argument in call.args]
        if any(keyword.arg is None for keyword in call.keywords):
            raise ValueError
        named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except ValueError:
        raise AppError(f"application {text!r}: the factory's arguments must be literals") from None
    if not callable(factory):
        raise AppError(
            f"application {text!r}: is of type {type(factory).__name__} and cannot be called as a factory"
        )
    try:
        return factory(*positional, **named)
    except TypeError as error:
        # Only when the call itself does not fit; a TypeError from inside the factory is the user's own.
        if error.__traceback__ is None or error.__traceback__.tb_next is None:
            raise AppError(f"application {text!r}: the factory cannot be called so: {error}") from None
        raise
