"""What the project serves."""

import os

from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path

from dbsite.visits.models import Visit

LOCK = 4711


def plain(request: HttpRequest) -> HttpResponse:
    """No database."""
    return HttpResponse(str(os.getpid()))


def visit(request: HttpRequest) -> HttpResponse:
    """One row written and read again, in a transaction."""
    with transaction.atomic():
        made = Visit.objects.create(pid=os.getpid())
        found = Visit.objects.get(pk=made.pk)
    return HttpResponse(str(found.pid))


def wait(request: HttpRequest) -> HttpResponse:
    """Wait in the database for a lock that somebody else has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
    return HttpResponse(str(os.getpid()))


urlpatterns = [path("plain", plain), path("visit", visit), path("wait", wait)]
