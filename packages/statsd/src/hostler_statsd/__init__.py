"""statsd metrics for hostler, as gunicorn sends them."""
