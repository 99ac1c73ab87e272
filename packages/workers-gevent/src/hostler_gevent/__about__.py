"""The version of hostler-gevent, read by hatch."""

__version__ = "0.1.0"
