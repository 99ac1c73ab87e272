"""eventlet worker for hostler (deprecated from its birth)."""
