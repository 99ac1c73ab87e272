"""The version of hostler-eventlet, read by hatch."""

__version__ = "0.1.0"
