"""Every installed protocol passes the kit's suite for protocols."""

from importlib.metadata import entry_points

from hostler_testkit.conformance_protocol.test_protocol import *  # noqa: F403
from hostler_testkit.protocol import vectors_for

PROTOCOLS = [found.name for found in entry_points(group="hostler.protocols") if vectors_for(found.name)]
