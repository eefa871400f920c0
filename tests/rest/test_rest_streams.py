"""Answers in pieces: what makes them, and on which thread."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.responses import StreamingResponse

from host.rest import pages
from host.rest.pages import streamed

LARGE = bytes(range(256)) * 16_384  # 4 MiB


def sent(parts: Sequence[bytes], monkeypatch: pytest.MonkeyPatch) -> tuple[list[bytes], int]:
    """The chunks of an answer, and how often another thread was asked for one."""
    hops = 0
    run_sync = pages.to_thread.run_sync

    async def counted(work: Any, *words: Any) -> Any:
        nonlocal hops
        hops += 1
        return await run_sync(work, *words)

    monkeypatch.setattr(pages.to_thread, "run_sync", counted)
    answer = streamed(iter(parts))

    async def chunks() -> list[bytes]:
        if not isinstance(answer, StreamingResponse):
            return [bytes(answer.body)]
        return [bytes(chunk) async for chunk in answer.body_iterator]  # type: ignore[arg-type]

    return asyncio.run(chunks()), hops


def test_a_large_part_costs_one_change_of_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [b"[", LARGE, b",", LARGE, b"]"]
    chunks, hops = sent(parts, monkeypatch)
    assert b"".join(chunks) == b"".join(parts)
    assert max(map(len, chunks)) < 128 * 1024
    assert hops <= len(parts)


def test_small_parts_are_sent_together(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [b"%d," % number for number in range(100_000)]
    chunks, hops = sent(parts, monkeypatch)
    assert b"".join(chunks) == b"".join(parts)
    assert len(chunks) <= len(b"".join(parts)) // (64 * 1024) + 2
    assert hops <= len(chunks)


def test_a_short_answer_needs_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sent([b"[", b"1", b"]"], monkeypatch) == ([b"[1]"], 0)
    assert sent([], monkeypatch) == ([b""], 0)
