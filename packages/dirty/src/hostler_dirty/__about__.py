"""The version of hostler-dirty, read by hatch."""

__version__ = "0.1.0"
