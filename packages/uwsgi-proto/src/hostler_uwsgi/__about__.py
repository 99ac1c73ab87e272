"""The version of hostler-uwsgi, read by hatch."""

__version__ = "0.1.0"
