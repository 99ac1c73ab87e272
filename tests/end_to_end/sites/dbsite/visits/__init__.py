"""The one table of the project."""
