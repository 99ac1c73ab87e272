"""A Django project of the tests: the admin, static files through WhiteNoise, an upload, a download."""
