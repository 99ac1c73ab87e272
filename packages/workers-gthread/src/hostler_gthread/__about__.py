"""The version of hostler-gthread, read by hatch."""

__version__ = "0.1.0"
