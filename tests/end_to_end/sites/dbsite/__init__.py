"""A Django project of the tests with its rows in PostgreSQL, and one that waits there."""
