"""Attacks of the run stage by flows: log lines, host calls and results that are invalid."""

# ruff: noqa: E501  # one attack a line reads as the table that it is

from host.tools.audit.gauntlet.model import LIMITS, PythonAttack
from sandbox.world import World

FLOWS = """
from dataclasses import dataclass

from cordapp.flows import ClientStartableFlow


@dataclass(frozen=True)
class Text:
    code: str


class RunText(ClientStartableFlow[Text, str]):
    def call(self, request_body: Text) -> str:
        names = {"flow": self}
        exec(request_body.code, names)
        return str(names.get("result", "done"))
"""
"""A flow that runs the code that it is given."""
FLOWS_PATH, RUN_TEXT = "gauntlet_flows.py", "gauntlet_flows.RunText"


_CALL = "flow.flow_engine._api.call"


def _flow(name: str, about: str, code: str, *stops: str) -> PythonAttack:
    return PythonAttack(
        name=name,
        about=about,
        code=code,
        flow=RUN_TEXT,
        stops=frozenset(stops),
        world=World.WORKFLOW,
    )


def python_calls() -> tuple[PythonAttack, ...]:
    """All of them."""
    return (*_by_log_lines(), *_by_requests())


def _by_log_lines() -> tuple[PythonAttack, ...]:
    """Lines that forge or flood the operator's log."""
    return (
        _flow(
            "ansi-log",
            "writes terminal commands to the operator's log",
            "flow.log.info('\\x1b[2J\\x1b]0;owned\\x07' + '\\r\\nforged line')\nraise RuntimeError('logged')",
            "log-scrubbed",
        ),
        _flow(
            "surrogate-log",
            "logs what is no Unicode",
            "flow.log.info('\\ud800')",
            "UnicodeEncodeError",
            "payload-invalid",
            "guest-trap",
            "log-scrubbed",
        ),
        _flow(
            "long-log-line",
            "one log line of 100 MB",
            "flow.log.info('x' * 100_000_000)",
            "log-limit",
            "payload-too-large",
            *LIMITS,
        ),
        _flow(
            "bidi-log",
            "turns the text direction of the log",
            "flow.log.info('\\u202e' + 'gnp.exe')\nraise RuntimeError('logged')",
            "log-scrubbed",
        ),
    )


def _by_requests() -> tuple[PythonAttack, ...]:
    """Requests and results that are invalid, refused or too large."""
    return (
        _flow(
            "surrogate-request",
            "sends what is no Unicode",
            f"{_CALL}('flow', 'context', {{'op': 'get', 'key': '\\ud800'}})",
            "UnicodeEncodeError",
            "payload-invalid",
            "guest-trap",
            "call-refused",
        ),
        _flow(
            "catch-refusal",
            "catches every refusal and calls on",
            "while True:\n try:\n  flow.signing_service.find_my_signing_keys([])\n except BaseException: pass",
            "capability-not-granted",
        ),
        _flow(
            "refused-flood",
            "makes calls that are refused for ever",
            f"while True:\n try: {_CALL}('flow', 'context', {{}})\n except Exception: pass",
            "too-many-host-calls",
            *LIMITS,
        ),
        _flow(
            "other-message",
            "messages to the outside, not granted",
            f"{_CALL}('external-messaging', 'send', {{'channel': 'x', 'message': 'secrets'}})",
            "capability-not-granted",
        ),
        _flow(
            "result-bomb",
            "a result of 64 MiB",
            "result = 'x' * (64 << 20)",
            "payload-too-large",
            *LIMITS,
        ),
        _flow(
            "tenant-in-request",
            "names another tenant in a call",
            f"{_CALL}('flow', 'context', {{'op': 'get', 'key': 'x', 'tenant': '../other', 'holdingIdentity': 'O=Victim, L=London, C=GB'}})",
            "call-refused",
        ),
    )
