"""The same flows in the test kit and on a whole host, and what came of them in words that compare.

What is random or of the time is told by its kind: `<id 1>` is the first identifier that turns up.
Flows that follow from one are found by its sessions, so that their order is nobody's chance.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.testclient import TestClient

from cpi.crypto.keys import SigningKey
from cpi.package.build import build_cpi
from cpi.package.group_policy_generation import generate_static_policy
from host.domain.errors import HostError
from host.domain.ids import ShortHash
from host.domain.vnode import AsyncStatus
from host.flow.core.journal import REQUEST_CHARACTERS_MAX, request_digest
from host.flow.records.history_export import (
    Message,
    Recording,
    Step,
    encode_in_parts,
    parse_recording,
    recording_of,
)
from host.tools.cache import default_cache_dir
from host.tools.cordapps.build import build_cordapp
from host.tools.testkit.code import KitCode
from host.tools.testkit.errors import FlowRefusedError
from host.tools.testkit.network import Network
from sandbox.runtime import Sandbox
from tests.support.hosts import polled, running_host

ALICE, BOB, CHARLIE = NAMES = tuple(
    f"O={name}, L=London, C=GB" for name in ("Alice", "Bob", "Charlie")
)
SESSION_TIMEOUT_MS, PAYLOAD_BYTES_MAX = 3_000, 2_000_000
JOURNAL_CALLS_MAX, HOST_CALLS_MAX = 60, 120
SETTINGS: Mapping[str, object] = {
    "flow_session_timeout": SESSION_TIMEOUT_MS,
    "flow_session_max_payload_size": PAYLOAD_BYTES_MAX,
    "quota_journal_calls_max": JOURNAL_CALLS_MAX,
    "quota_host_calls_max": HOST_CALLS_MAX,
}
"""Of both sides: a host's clock does not move by itself, and should not be waited for."""

_API, _PASSWORD = "/api/v5_2", "secret"
_REGISTRATION = {"corda.key.scheme": "CORDA.ECDSA.SECP256R1"}
_SECONDS_MAX = 60
_RUNTIME_FILES = ("workflow_app.py",)
"""Of a sandbox's own Python: a trace names them where the code asked for what there is not."""
_FINAL = ("COMPLETED", "FAILED", "KILLED")
_COMPARED_CHARACTERS_MAX = REQUEST_CHARACTERS_MAX - 128
"""Of a request that was cut: half words stand at its end, of up to 73 characters if they are not
recognised as such, and earlier signatures moved the cut by 4 or 8 each."""
_SIGNATURE, _SIGNATURE_CHARACTERS_MAX = re.compile("ME[A-Z]C"), 96
"""Of P-256 in DER and base64: up to 72 bytes, mostly 70 to 72, rarely fewer."""

Body = Any | Callable[[Sequence[Any]], Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """Flows that are started one after the other.

    Attributes:
        starts: who starts which flow with what request; a request may be made of earlier results.
        sizes: whether sizes of messages are the same each time; signatures' are not.
    """

    id: str
    starts: Sequence[tuple[str, str, Body]]
    sizes: bool = True


def row(name: str, flow: str, body: Body = None, *, who: str = ALICE, sizes: bool = True) -> Row:
    """One flow."""
    return Row(id=name, starts=((who, flow, body),), sizes=sizes)


@dataclass(slots=True)
class Words:
    """Gives what is random a name, by the order in which it turns up."""

    known: dict[str, str] = field(default_factory=dict)

    def of(self, text: str | None) -> str | None:
        return None if text is None else _VOLATILE.sub(self._name, text)

    def of_cut(self, text: str) -> str:
        """The beginning of a request that was cut, the same whatever its signatures measure.

        Places are counted as if each signature had its greatest length. Words that reach beyond the
        end are left out, since they may be halves, and get no name.
        """
        told, done, left = "", 0, _COMPARED_CHARACTERS_MAX
        for found in _VOLATILE.finditer(text):
            plain, word = text[done : found.start()], found[0]
            size = _SIGNATURE_CHARACTERS_MAX if _SIGNATURE.match(word) else len(word)
            if len(plain) + size > left:
                return told + plain[:left]
            told += plain + self._name(found)
            done, left = found.end(), left - len(plain) - size
        return told + text[done : done + left]

    def _name(self, found: re.Match[str]) -> str:
        kind, text = found.lastgroup or "", found[0]
        if kind in ("cut", "instant", "hash", "bytes", "short"):
            return f"<{kind}>"
        suffix = "-INITIATED" if text.endswith("-INITIATED") else ""
        count = 1 + sum(name.startswith(f"<{kind}") for name in self.known.values())
        return self.known.setdefault(text.removesuffix(suffix), f"<{kind} {count}>") + suffix


_VOLATILE = re.compile(
    r"(?P<cut>-----BEGIN PUBLIC KEY-----(?:(?!-----END PUBLIC KEY-----).)*\Z)"
    r"|(?P<key>-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----)"
    r"|(?P<id>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(-INITIATED)?)"
    r"|(?P<transaction>SHA-256D:[0-9A-F]{64})"
    r"|(?P<hash>SHA-256:[0-9A-F]{64})"
    r"|(?P<instant>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z)"
    r"|(?P<bytes>[A-Za-z0-9+/]{22,}={0,2})"
    r"|(?P<short>\b[0-9A-F]{12}\b)",
    re.DOTALL,
)


class KitSide:
    """A row in a network of its own."""

    def __init__(self, code: KitCode) -> None:
        self._code = code

    def run(self, given: Row) -> list[Any]:
        """What came of each start: a refusal's code, or the flow and all that followed."""
        with Network(self._code, settings=SETTINGS) as network:
            nodes = {name: network.node(name) for name in NAMES}
            seen, results = list[Any](), list[Any]()
            for who, flow, body in given.starts:
                try:
                    request_id = nodes[who].begin(flow, _made(body, results))
                except FlowRefusedError as refused:
                    seen.append({"refused": refused.type})
                    continue
                network.run()
                first = nodes[who].recording(request_id)
                results.append(_result(first))
                found = [first, *_following(first, lambda n, r: _found(nodes[n].recording, r))]
                words = Words()
                seen.append([_told(each, words, given) for each in found])
            return seen


class HostSide:
    """A row on a host that other rows have used."""

    def __init__(self, host: Any, client: Any, nodes: Mapping[str, ShortHash]) -> None:
        self._host, self._client, self._nodes = host, client, nodes
        self._count = 0

    def run(self, given: Row, expected: Sequence[Any]) -> list[Any]:
        """The same, once as many flows have followed as elsewhere, and all have ended."""
        seen, results = list[Any](), list[Any]()
        for who, flow, body in given.starts:
            node, self._count = self._nodes[who], self._count + 1
            request_id = f"{given.id}-{self._count}"
            start = {
                "clientRequestId": request_id,
                "flowClassName": flow,
                "requestBody": _made(body, results),
            }
            answer = self._client.post(f"{_API}/flow/{node}", json={"startFlow": start})
            if answer.status_code != 202:
                seen.append({"refused": answer.json()["details"]["code"]})
                continue
            path = f"{_API}/flow/{node}/{request_id}"
            polled(self._client, path, lambda status: status["flowStatus"] in _FINAL)
            first = self._recording(node, request_id)
            assert first is not None
            results.append(_result(first))
            words = Words()
            found = [first, *self._all_following(first, len(expected[len(seen)]) - 1)]
            seen.append([_told(each, words, given) for each in found])
        return seen

    def _all_following(self, first: Recording, count: int) -> list[Recording]:
        """The flows that follow, as soon as there are `count` and each has ended."""
        deadline = time.monotonic() + _SECONDS_MAX
        while True:
            found = list(_following(first, lambda n, r: self._recording(self._nodes[n], r)))
            ended = all(each.outcome.status in _FINAL for each in found)
            if ended and len(found) >= count:
                return found
            assert time.monotonic() < deadline, [each.outcome for each in found]
            time.sleep(0.01)

    def _recording(self, node: ShortHash, request_id: str) -> Recording | None:
        try:
            found = self._host.services.flows.recorded(node, request_id)
        except HostError:
            return None
        head = recording_of(found.history, None)
        return parse_recording(b"".join(encode_in_parts(head, found.entries())), request_id)


@contextmanager
def host_of(folder: Path, projects: Mapping[str, Path], key: SigningKey) -> Iterator[Any]:
    """A whole host with three members for each CorDapp; gives what finds each one's side."""
    sandbox = Sandbox(cache_dir=default_cache_dir())
    settings = {"cache_dir": default_cache_dir(), "flow_workers": 2, "isolation": "shared"}
    with running_host(folder / "data", password=_PASSWORD, **settings, **SETTINGS) as host:
        client = TestClient(host.asgi)
        client.auth = ("admin", _PASSWORD)
        with client:
            pem = key.certificate_chain[0].public_bytes(Encoding.PEM)
            path = f"{_API}/certificate/cluster/code-signer"
            client.put(path, data={"alias": "me"}, files={"certificate": pem}).raise_for_status()
            sides = {
                name: HostSide(
                    host, client, _nodes(host, client, _cpi(project, folder / name, key, sandbox))
                )
                for name, project in projects.items()
            }
            yield sides


def _cpi(project: Path, folder: Path, key: SigningKey, sandbox: Sandbox) -> bytes:
    built = build_cordapp(project, (key,), folder, sandbox, lambda _step: None)
    (cpb,) = folder.glob("*.cpb")
    policy = generate_static_policy(
        names=NAMES, group_id=None, endpoint_url="https://localhost:1080", endpoint_protocol=1
    )
    return build_cpi(
        name=built.name,
        version=built.version,
        cpb=(cpb.name, cpb.read_bytes()),
        group_policy=policy,
        keys=(key,),
    )


def _nodes(host: Any, client: Any, cpi: bytes) -> dict[str, ShortHash]:
    upload = client.post(f"{_API}/cpi", files={"upload": ("a.cpi", cpi)}).json()["id"]
    stored = polled(client, f"{_API}/cpi/status/{upload}", lambda s: s["status"] == "OK")
    nodes = {}
    for name in NAMES:
        body = {"cpiFileChecksum": stored["cpiFileChecksum"], "x500Name": name}
        started = client.post(f"{_API}/virtualnode", json={"request": body}).json()
        path = f"{_API}/virtualnode/status/{started['requestId']}"
        made = polled(client, path, lambda s: s["status"] == AsyncStatus.SUCCEEDED.value)
        nodes[name] = made["resourceId"]
        host.services.membership.register(nodes[name], _REGISTRATION)
    return nodes


def _following(
    flow: Recording, find: Callable[[str, str], Recording | None]
) -> Iterator[Recording]:
    """The responders of a flow's sessions, and of theirs."""
    for session in flow.sessions:
        if session.is_initiator and session.peer in NAMES:
            responder = find(session.peer, session.peer_session)
            if responder is not None:
                yield responder
                yield from _following(responder, find)


def _found(recording: Callable[[str], Recording], request_id: str) -> Recording | None:
    try:
        return recording(request_id)
    except HostError:
        return None


def _made(body: Body, results: Sequence[Any]) -> Any:
    return body(results) if callable(body) else body


def _result(recording: Recording) -> Any:
    return recording.outcome.result


def _told(flow: Recording, words: Words, given: Row) -> Any:
    """A flow in words that compare."""
    outcome = flow.outcome
    messages = [m for step in flow.steps for m in step.messages] + list(flow.messages)
    return {
        "class": flow.flow.flow_class,
        "status": outcome.status.value,
        "start": words.of(flow.start),
        "result": words.of(outcome.result),
        "error": (outcome.error_type, words.of(outcome.error_message)),
        "trace": [line for line in outcome.trace if not line.startswith(_RUNTIME_FILES)],
        "steps": [_step(step, words) for step in flow.steps],
        "waiting": flow.waiting and flow.waiting.function,
        "messages": _by_session(messages, words, given),
        "sessions": [
            (
                words.of(s.id),
                s.is_initiator,
                s.peer,
                s.protocol,
                s.version,
                s.status,
                words.of(s.failure),
            )
            for s in flow.sessions
        ],
    }


def _by_session(messages: Sequence[Message], words: Words, given: Row) -> Any:
    """What was sent and received in each session; who speaks first of two is chance."""
    told: dict[str, list[Any]] = {}
    for m in messages:
        place = f"{m.direction} in {words.of(m.session)}"
        told.setdefault(place, []).append((m.sequence, m.kind, m.size if given.sizes else 0))
    return dict(sorted(told.items()))


def _step(step: Step, words: Words) -> Any:
    """A host call; its digest is that of its request, and compares itself if nothing varies."""
    if len(step.request) < REQUEST_CHARACTERS_MAX:
        assert step.digest == request_digest(step.request)
        request = words.of(step.request)
    else:
        request = words.of_cut(step.request)
    digest = step.digest if request == step.request else None
    return (step.function, request, digest, step.is_error, words.of(step.answer))


def text_of(seen: Any) -> str:
    """What was seen, line by line, for a report of differences."""
    return msgspec.json.format(msgspec.json.encode(seen), indent=1).decode()
