"""Durable steps of Restate: `restate_steps.py FOLDER STEPS FLOWS SERVER`, JSON on standard output.

Starts the server with its default settings on free ports, and serves the handler in this process.
"""

import asyncio
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import hypercorn.asyncio
import hypercorn.config
import restate

_CLIENTS = 32
_READY_SECONDS_MAX = 60

service = restate.Service("steps")


@service.handler()
async def run(ctx: restate.Context, count: int) -> int:
    for number in range(count):
        await ctx.run_typed("step", lambda number=number: number)
    return count


class Ingress(threading.local):
    """A connection to the server's ingress for each thread."""

    port = 0

    def __init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", Ingress.port)

    def call(self, count: int) -> float:
        begun = time.perf_counter()
        headers = {"Content-Type": "application/json"}
        self.connection.request("POST", "/steps/run", json.dumps(count), headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200 or json.loads(text) != count:
            raise RuntimeError(f"the flow ended {answer.status}: {text!r}")
        return time.perf_counter() - begun


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def serve(port: int) -> None:
    config = hypercorn.config.Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "ERROR"
    loop = asyncio.new_event_loop()
    never = loop.create_future
    app = restate.app([service])
    loop.run_until_complete(hypercorn.asyncio.serve(app, config, shutdown_trigger=never))


def register(admin: int, port: int) -> None:
    body = json.dumps({"uri": f"http://127.0.0.1:{port}"})
    end = time.monotonic() + _READY_SECONDS_MAX
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", admin)
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/deployments", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status < 300:
                return
            reason = f"{answer.status} {text!r}"
        except OSError as refused:
            reason = str(refused)
        if time.monotonic() > end:
            raise RuntimeError(f"the server takes no deployment: {reason}")
        time.sleep(0.2)


def main() -> None:
    folder, count, flows, server = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
    admin, Ingress.port, node, port = (free_port() for _ in range(4))
    environment = {
        **os.environ,
        "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
        "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{Ingress.port}",
        "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
        "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{node}",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RUST_LOG": "error",
    }
    words = [*server, "--base-dir", folder, "--node-name", "n1"]
    with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            threading.Thread(target=serve, args=(port,), daemon=True).start()
            register(admin, port)
            measure(count, flows)
        finally:
            process.terminate()


def measure(count: int, flows: int) -> None:
    ingress = Ingress()
    ingress.call(count)
    alone = ingress.call(count)
    with ThreadPoolExecutor(_CLIENTS) as pool:
        list(pool.map(ingress.call, [1] * _CLIENTS))
        begun = time.perf_counter()
        ended = list(pool.map(ingress.call, [1] * flows))
        together = time.perf_counter() - begun
    result = {"sequential": count / alone, "concurrent": flows / together, "seconds": ended}
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()


main()
