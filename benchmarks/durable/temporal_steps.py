"""Steps of Temporal's test server: `temporal_steps.py FOLDER STEPS FLOWS SERVER`, JSON out.

The test server keeps everything in memory: nothing of it is durable.
"""

import asyncio
import json
import socket
import subprocess
import sys
import time
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

_QUEUE = "bench"
_CLIENTS = 32
_READY_SECONDS_MAX = 60


@activity.defn
async def step(number: int) -> int:
    return number


@workflow.defn
class Steps:
    @workflow.run
    async def run(self, count: int) -> int:
        for number in range(count):
            await workflow.execute_activity(
                step, number, start_to_close_timeout=timedelta(seconds=60)
            )
        return count


async def flow(client: Client, number: int, count: int) -> float:
    begun = time.perf_counter()
    await client.execute_workflow(
        Steps.run, count, id=f"{time.time_ns()}-{number}", task_queue=_QUEUE
    )
    return time.perf_counter() - begun


async def main() -> None:
    count, flows, server = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    process = await asyncio.create_subprocess_exec(server, str(port), stderr=subprocess.DEVNULL)
    try:
        await measure(await connected(f"127.0.0.1:{port}"), count, flows)
    finally:
        process.terminate()
        await process.wait()


async def connected(address: str) -> Client:
    end = time.monotonic() + _READY_SECONDS_MAX
    while True:
        try:
            return await Client.connect(address)
        except RuntimeError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.1)


async def measure(client: Client, count: int, flows: int) -> None:
    clients = asyncio.Semaphore(_CLIENTS)

    async def one(number: int) -> float:
        async with clients:
            return await flow(client, number, 1)

    async with Worker(client, task_queue=_QUEUE, workflows=[Steps], activities=[step]):
        await flow(client, 0, count)
        alone = await flow(client, 1, count)
        begun = time.perf_counter()
        ended = await asyncio.gather(*(one(number) for number in range(flows)))
        together = time.perf_counter() - begun
    result = {"sequential": count / alone, "concurrent": flows / together, "seconds": ended}
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
