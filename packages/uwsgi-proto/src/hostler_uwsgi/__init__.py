"""The uWSGI protocol for hostler, behind nginx."""
