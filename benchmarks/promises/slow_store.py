"""A store that is far away: a proxy on a unix socket that holds every byte back for a while."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def far_away(store: Path, latency_s: float) -> Iterator[str]:
    """Yield the address of a store that answers `latency_s` later than the one at `store`.

    Half of it is spent on the way there and half on the way back, in order, and whatever is sent
    together arrives together: only waiting for answers costs.
    """
    # Beside the real socket: paths of unix sockets may have 107 bytes only.
    place = store.with_name("far.sock")
    # A loop and a thread of its own: the bar's own calls to the store block.
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(str(store))
        ways = ((reader, far_writer), (far_reader, writer))
        with suppress(asyncio.CancelledError):  # the end of the block below
            await asyncio.gather(*(_carry(*way, latency_s / 2) for way in ways))

    starting = asyncio.run_coroutine_threadsafe(asyncio.start_unix_server(serve, str(place)), loop)
    server = starting.result(timeout=10)

    try:
        yield f"unix://{place}"
    finally:
        loop.call_soon_threadsafe(server.close)
        asyncio.run_coroutine_threadsafe(_end_all(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()


async def _end_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()

    await asyncio.gather(*tasks, return_exceptions=True)


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float
) -> None:
    """Pass everything on, each piece `delay_s` after it came."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due_s, piece = await pieces.get()
            await asyncio.sleep(due_s - loop.time())
            if not piece:
                writer.close()
                return

            writer.write(piece)

    delivering = asyncio.create_task(deliver())
    with suppress(OSError):
        while piece := await reader.read(1 << 16):
            pieces.put_nowait((loop.time() + delay_s, piece))

    # The end travels as slowly as everything before it.
    pieces.put_nowait((loop.time() + delay_s, b""))
    with suppress(OSError):
        await delivering
