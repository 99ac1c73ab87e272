"""The `eventlet` worker passes every suite of the kit."""

from hostler_testkit.wsgi import *  # noqa: F403

WORKERS = ["eventlet"]
