"""A Django project of one file, with Channels for its WebSocket."""
