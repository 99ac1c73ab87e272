"""The suite for services: `pytest --pyargs hostler_testkit.conformance_service --hostler-service NAME`."""
