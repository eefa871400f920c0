"""Hosts that answer what no host answers."""

import gzip
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

_OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
_DEEP = 100_000


def _json(text: str | bytes, *more: bytes) -> bytes:
    body = text.encode() if isinstance(text, str) else text
    heads = b"".join(each + b"\r\n" for each in more)
    length = b"Content-Length: %d\r\n" % len(body)
    return _OK + b"Content-Type: application/json\r\n" + heads + length + b"\r\n" + body


def _error(status: int, body: str) -> bytes:
    data = body.encode()
    return (
        b"HTTP/1.1 %d X\r\nConnection: close\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (status, len(data), data)
    )


def _of_all_lists(item: object) -> str:
    """An answer in which each member that a command reads is `item`."""
    members = (
        "virtualNodes",
        "flowStatusResponses",
        "deadLetters",
        "acts",
        "transactions",
        "cpis",
        "workers",
        "queues",
        "set_aside",
    )
    return json.dumps({name: [item] for name in members})


ANSWERS: Mapping[str, bytes] = {
    "nothing": b"",
    "no HTTP": bytes(range(256)),
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "HTML": _json("<!doctype html><title>Sign in</title>"),
    "half": _OK + b"Content-Length: 1000\r\n\r\n{",
    "half a chunk": _OK + b"Transfer-Encoding: chunked\r\n\r\n10\r\n{",
    "no chunk": _OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "long header": _OK + b"X: " + b"x" * 200_000 + b"\r\n\r\n{}",
    "no gzip": _json(b"x", b"Content-Encoding: gzip"),
    "gzip bomb": _json(gzip.compress(bytes(70 << 20)), b"Content-Encoding: gzip"),
    "unknown encoding": _json(b"{}", b"Content-Encoding: nonsense"),
    "no UTF-8": _json(b'{"a": "\xff"}'),
    "UTF-16": _json('{"a": 1}'.encode("utf-16")),
    "empty": _json(""),
    "null": _json("null"),
    "number": _json("1" * 5000),
    "NaN": _json("NaN"),
    "text": _json('"text"'),
    "list": _json("[]"),
    "list of null": _json("[null]"),
    "object": _json("{}"),
    "half character": _json('{"flowStatus": "\\ud800", "virtualNodes": ["\\ud800"]}'),
    "nested": _json("[" * _DEEP + "]" * _DEEP),
    "objects nested": _json('{"a":' * _DEEP + "1" + "}" * _DEEP),
    "lists of null": _json(_of_all_lists(None)),
    "lists of numbers": _json(_of_all_lists(1)),
    "lists of objects": _json(_of_all_lists({})),
    "lists of nulls": _json(_of_all_lists({"holdingIdentity": None, "id": None, "timestamp": 1})),
    "endless list": _json(
        _of_all_lists({"id": "x", "timestamp": "y", "status": "V"}), b"Cordbox-Next: again"
    ),
    "wrong types": _json('{"flowStatus": 1, "quota": [], "status": {}, "now": "x", "since": []}'),
    "control characters": _json('{"flowStatus": "\\u001b[2J\\r\\n", "json": "\\u001b[31m"}'),
    "redirect to itself": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    "redirect to nowhere": b"HTTP/1.1 301 X\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n",
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "status 99": b"HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n",
    "no content": b"HTTP/1.1 204 X\r\n\r\n",
    "error without a body": _error(500, ""),
    "error as HTML": _error(502, "<h1>Bad Gateway</h1>"),
    "error as a list": _error(400, "[1]"),
    "error of odd parts": _error(409, '{"title": [1], "details": {"code": {"a": 1}, "x": null}}'),
    "error of an odd code": _error(400, '{"title": "t", "details": {"code": "a b\\u001b[1m"}}'),
    "error nested": _error(400, "[" * _DEEP),
    "teapot": _error(418, "{}"),
    "too many requests": _error(429, '{"details": {"retryAfter": "soon"}}'),
}


@contextmanager
def broken_host(answer: bytes) -> Iterator[str]:
    """The URL of a host that answers every request with these bytes and ends the connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve, args=(server, answer), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def _serve(server: socket.socket, answer: bytes) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection, suppress(OSError):
            connection.settimeout(5)
            received = b""
            while b"\r\n\r\n" not in received:
                part = connection.recv(65536)
                if not part:
                    break
                received += part
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
