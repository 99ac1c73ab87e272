"""ASGI worker for hostler: HTTP, WebSocket and lifespan."""
