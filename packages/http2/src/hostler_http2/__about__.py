"""The version of hostler-http2, read by hatch."""

__version__ = "0.1.0"
