"""Every suite for a WSGI worker, to import into a test module of yours: `from hostler_testkit.wsgi import *`."""

from hostler_testkit.conformance.test_corpus import *  # noqa: F403
from hostler_testkit.conformance.test_file_wrapper import *  # noqa: F403
from hostler_testkit.conformance.test_http1 import *  # noqa: F403
from hostler_testkit.conformance.test_lifecycle import *  # noqa: F403
from hostler_testkit.conformance.test_limits import *  # noqa: F403
from hostler_testkit.conformance.test_pep3333_answers import *  # noqa: F403
from hostler_testkit.conformance.test_pep3333_requests import *  # noqa: F403
from hostler_testkit.conformance.test_tls import *  # noqa: F403

INTERFACE = "wsgi"
