"""The gthread worker from accept to stop: the loop's driver and the crew that runs its requests."""

from __future__ import annotations

from hostler.drive import SharedDriver
from hostler.plugin import WorkerContext

from hostler_gthread import ThreadSettings
from hostler_gthread._crew import Crew


def serve(ctx: WorkerContext, settings: ThreadSettings) -> None:
    """Load the application, say ready, serve until told to stop."""
    application = ctx.load_app()
    crew = Crew(ctx, threads=ctx.settings.threads, queue_wait=settings.queue_wait)
    driver = SharedDriver(ctx, application, crew.take)
    crew.start(driver)
    ctx.ready()
    crew.run()
