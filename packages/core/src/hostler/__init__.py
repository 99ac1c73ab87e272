"""Pre-fork application server for Python with pluggable workers, protocols and services."""
