"""The version of hostler-testkit, read by hatch."""

__version__ = "0.1.0"
