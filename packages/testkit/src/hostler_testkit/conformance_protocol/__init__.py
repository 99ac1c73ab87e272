"""The suite for protocols: `pytest --pyargs hostler_testkit.conformance_protocol --hostler-protocol NAME`."""
