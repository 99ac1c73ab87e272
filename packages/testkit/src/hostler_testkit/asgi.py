"""Every suite for an ASGI worker, to import into a test module of yours: `from hostler_testkit.asgi import *`."""

from hostler_testkit.conformance.test_asgi import *  # noqa: F403
from hostler_testkit.conformance.test_corpus import *  # noqa: F403
from hostler_testkit.conformance.test_http1 import *  # noqa: F403
from hostler_testkit.conformance.test_lifecycle import *  # noqa: F403
from hostler_testkit.conformance.test_limits import *  # noqa: F403
from hostler_testkit.conformance.test_tls import *  # noqa: F403
from hostler_testkit.conformance.test_websocket import *  # noqa: F403

INTERFACE = "asgi"
