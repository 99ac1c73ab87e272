"""gevent worker for hostler."""
