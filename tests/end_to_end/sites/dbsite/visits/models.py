"""A row for each visit."""

from django.db import models


class Visit(models.Model):
    """Who served it, and when."""

    pid = models.IntegerField()
    made = models.DateTimeField(auto_now_add=True)
