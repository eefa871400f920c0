"""A bad TCP network: a proxy on loopback that delays, divides, cuts and silences connections."""

import asyncio
import random
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

FAULTS = ("none", "refuse", "reset", "silent", "half-open", "delay", "slow", "divided")
_PIECE = 64 * 1024


class BadNetwork:
    """Carries connections to a port, each with one of the faults, which the seed chooses.

    none: as it is. refuse: closed at once. reset: reset after some bytes. silent: accepted, and
    nothing ever comes. half-open: one direction is lost after some bytes. delay: every piece waits,
    so that later connections overtake. slow: a few hundred bytes at a time. divided: pieces of some
    bytes.

    Args:
        seed: of all choices.
    """

    def __init__(self, seed: int) -> None:
        self.faults: Sequence[str] = FAULTS
        self.target_port = 0
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._open = set[asyncio.StreamWriter]()
        self._tasks = set[asyncio.Task[None]]()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        made = asyncio.start_server(self._carry, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(made, self._loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def heal(self) -> None:
        """No more faults; what is cut, slow or silent is closed."""

        def close() -> None:
            self.faults = ("none",)
            for writer in self._open:
                writer.transport.abort()

        self._loop.call_soon_threadsafe(close)

    async def _stop(self) -> None:
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = self._random.choice(self.faults)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        try:
            if fault == "refuse":
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
            self._open.add(far_writer)
            try:
                lost = self._random.randrange(2)
                await asyncio.gather(
                    self._pump(reader, far_writer, fault, is_lost=lost == 0),
                    self._pump(far_reader, writer, fault, is_lost=lost == 1),
                )
            finally:
                far_writer.transport.abort()
                self._open.discard(far_writer)
        except OSError:
            pass  # the connection is over
        finally:
            writer.transport.abort()
            self._open.discard(writer)
            self._tasks.discard(task)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        fault: str,
        *,
        is_lost: bool,
    ) -> None:
        """Carry one direction until it ends."""
        left = self._random.randrange(12_000)
        size = {"slow": 400, "divided": self._random.randrange(1, 300)}.get(fault, _PIECE)
        while data := await reader.read(size):
            left -= len(data)
            if fault == "silent" or (fault == "half-open" and is_lost and left < 0):
                continue
            if fault == "reset" and left < 0:
                raise ConnectionResetError
            if fault == "delay":
                await asyncio.sleep(self._random.uniform(0, 0.1))
            if fault == "slow":
                await asyncio.sleep(0.005)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError
