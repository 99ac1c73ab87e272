"""Thread worker for hostler."""
