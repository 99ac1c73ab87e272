"""The applications that the suites drive: the same routes as WSGI and as ASGI, and the cases of PEP 3333."""
