"""Dirty arbiters for hostler: a pool of stateful workers for heavy work."""
