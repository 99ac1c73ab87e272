"""Conformance kit for hostler's workers, protocols and services."""
