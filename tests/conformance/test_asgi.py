"""The `asgi` worker passes every suite of the kit."""

from hostler_testkit.asgi import *  # noqa: F403

WORKERS = ["asgi"]
