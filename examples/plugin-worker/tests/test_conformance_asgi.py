"""hostler's suite for ASGI on `hostler_futures.asgi:worker`; `hostler-testkit worker` runs all of them."""

from hostler_testkit.conformance.test_asgi import *  # noqa: F403

WORKERS = ["hostler_futures.asgi:worker"]
