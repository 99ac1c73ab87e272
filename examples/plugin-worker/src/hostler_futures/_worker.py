"""The worker from accept to stop: hostler's driver keeps the connections, an executor runs the requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hostler.drive import Exchange, SharedDriver
from hostler.plugin import WorkerContext

from hostler_futures import Settings


def serve(ctx: WorkerContext, settings: Settings) -> None:
    """Load the application, say ready, serve until told to stop."""
    executor = ThreadPoolExecutor(settings.threads, thread_name_prefix="futures")
    driver: SharedDriver

    def work(exchange: Exchange) -> None:
        try:
            exchange.run()
        finally:
            driver.complete(exchange)

    def start(exchange: Exchange) -> None:
        executor.submit(work, exchange)

    driver = SharedDriver(ctx, ctx.load_app(), start)
    ctx.ready()
    driver.run()
    executor.shutdown(wait=False, cancel_futures=True)
