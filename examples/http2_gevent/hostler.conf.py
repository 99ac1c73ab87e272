"""The server's settings, read because the file lies in its working directory."""

wsgi_app = "app:app"
worker_class = "gevent"
bind = "0.0.0.0:8443"
certfile = "certificates/localhost.crt"
keyfile = "certificates/localhost.key"
http_protocols = "h2,h1"
