"""Every installed ASGI worker passes the kit's suites."""

from hostler_testkit import installed_workers
from hostler_testkit.conformance.test_asgi import *  # noqa: F403
from hostler_testkit.conformance.test_corpus import *  # noqa: F403
from hostler_testkit.conformance.test_http1 import *  # noqa: F403
from hostler_testkit.conformance.test_lifecycle import *  # noqa: F403
from hostler_testkit.conformance.test_limits import *  # noqa: F403
from hostler_testkit.conformance.test_tls import *  # noqa: F403

INTERFACE = "asgi"
WORKERS = installed_workers("asgi")
