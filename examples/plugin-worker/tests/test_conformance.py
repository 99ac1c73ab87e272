"""hostler's conformance suites on the worker `futures`."""

from hostler_testkit.wsgi import *  # noqa: F403

WORKERS = ["futures"]
