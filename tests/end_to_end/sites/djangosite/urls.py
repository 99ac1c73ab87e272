"""What the project serves."""

import hashlib

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

BLOCK = bytes(range(256)) * 256


@csrf_exempt
def upload(request: HttpRequest) -> HttpResponse:
    """The size and the digest of a file."""
    digest = hashlib.sha256()
    size = 0
    for chunk in request.FILES["file"].chunks():
        digest.update(chunk)
        size += len(chunk)
    return JsonResponse({"size": size, "sha256": digest.hexdigest()})


def download(request: HttpRequest) -> StreamingHttpResponse:
    """400 blocks of 64 KiB, made as they are sent."""
    return StreamingHttpResponse((BLOCK for _ in range(400)), content_type="application/octet-stream")


urlpatterns = [path("admin/", admin.site.urls), path("upload", upload), path("download", download)]
