"""Every installed service passes the kit's suite for services."""

from hostler_testkit.conformance_service.test_service import *  # noqa: F403

SERVICES = ["dirty"]
SETTINGS = {"dirty_apps": ["adder:Adder"], "dirty_workers": 1, "pythonpath": __file__.rpartition("/")[0]}
