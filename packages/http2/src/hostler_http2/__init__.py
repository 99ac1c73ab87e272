"""HTTP/2 for hostler."""
