"""Runs inside the guest, in a replay only: says where each host call is made.

A replay adds this module to the CorDapp's sources, so that no package carries it. It imports what
every version of the SDK has, and speaks through the log, which is not journalled.
"""

import json
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any

from cordapp.registry import FLOW_SIDE, Host

MODULE = "cordbox_replay_trace"
LOGGER = "cordbox.replay"
FRAMES_MAX = 20
VALUES_MAX = 30
VALUE_CHARACTERS_MAX = 200


class _Traced:
    """A host whose calls are announced. What runs while a value is shown cannot reach it."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._is_showing = False

    def __call__(self, interface: str, function: str, request: str) -> str:
        if self._is_showing:
            raise RuntimeError("a value that is being shown calls the host")
        if interface != "log":
            self._announce()
        answer: str = self._host(interface, function, request)
        return answer

    def _announce(self) -> None:
        frames = _frames()
        self._is_showing = True
        try:
            values = _values(frames[0]) if frames else {}
        finally:
            self._is_showing = False
        places = [_place(frame) for frame in frames[:FRAMES_MAX]]
        message = json.dumps({"frames": places, "values": values})
        line = {"level": "debug", "logger": LOGGER, "message": message}
        self._host("log", "write", json.dumps(line))


def _frames() -> list[FrameType]:
    """Frames of the CorDapp's own files, innermost first."""
    found = []
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001  # the only way to a caller
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(("/", "<", "cordapp/")) and frame.f_globals is not globals():
            found.append(frame)
        frame = frame.f_back
    return found


def _place(frame: FrameType) -> list[Any]:
    return [frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name]


def _values(frame: FrameType) -> dict[str, str]:
    values = {}
    for name, value in list(frame.f_locals.items())[:VALUES_MAX]:
        try:
            shown = repr(value)
        except Exception as exc:  # noqa: BLE001  # a CorDapp's own __repr__
            shown = f"<{type(exc).__name__}>"
        values[name] = shown[:VALUE_CHARACTERS_MAX].encode("utf-8", "replace").decode()
    return values


def _install() -> None:
    run = FLOW_SIDE["run"]

    def run_traced(start: Mapping[str, Any], host: Host) -> str:
        result: str = run(start, _Traced(host))
        return result

    FLOW_SIDE["run"] = run_traced


if __name__ == MODULE:  # elsewhere, importing it does nothing
    _install()
