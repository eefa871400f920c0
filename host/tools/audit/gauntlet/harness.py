"""The environment of attacks: real sandboxes with the limits of a host."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from host.domain.guest_text import GuestTextError, checked_json, mended_json
from host.domain.printable import printable
from host.tools.audit.gauntlet.model import CONTAINED, BinaryAttack, Ending, PythonAttack
from host.tools.audit.gauntlet.python_calls import FLOWS, FLOWS_PATH
from host.tools.audit.gauntlet.python_code import CLEAN, GUEST
from sandbox.errors import SandboxError
from sandbox.guest import Guest
from sandbox.host_calls import GuestCallError
from sandbox.isolation.calls import IsolatedGuest
from sandbox.isolation.placing import Place, here
from sandbox.limits import Limits
from sandbox.outcome import Outcome, Returned
from sandbox.python_source import PythonSource
from sandbox.runtime import Sandbox
from sandbox.world import World

_GRANTED = frozenset({"ledger", "persistence", "sessions"})
_FLOW_MODULES = ("hostile_compute", "hostile_escape", "hostile_steal", "hostile_flood")
_EXPORT = {World.CONTRACT: "verify", World.WORKFLOW: "run"}
_NOW = '"2026-11-21T05:00:00.000000Z"'
_MESSAGE_MAX = 200


class Harness:
    """Prepared guests of the attacks. Every attempt runs in a fresh sandbox.

    Args:
        sandbox: the host's; it makes the Python guests.
        outer: a sandbox of its own, with an empty cache, for components that attack the host.
        limits: of every run.
        place: where guests run.
    """

    def __init__(
        self, sandbox: Sandbox, outer: Sandbox, limits: Limits, place: Place = here
    ) -> None:
        self._outer = outer
        self._place = place
        self._limits = limits
        self._contract = self._guest(sandbox, World.CONTRACT, {"cordapp/guest.py": GUEST}, ())
        files = {**_sdk(), **_hostile(), FLOWS_PATH: FLOWS}
        modules = (*_FLOW_MODULES, FLOWS_PATH.removesuffix(".py"))
        self._workflow = self._guest(sandbox, World.WORKFLOW, files, modules)

    def clean(self) -> None:
        """One honest verification.

        Raises:
            SandboxError: it failed.
        """
        outcome = self._contract.call("verify", CLEAN, limits=Limits())
        if not isinstance(outcome, Returned) or outcome.is_error:
            raise SandboxError(f"the neighbour's verification failed: {outcome}")

    def strike(self, attack: BinaryAttack | PythonAttack) -> Callable[[], Ending]:
        """Returns the function of one attempt; preparation is done before it is called."""
        if isinstance(attack, PythonAttack):
            return self._python(attack)
        wasm = attack.make()
        if not attack.run:
            return lambda: _ending(lambda: self._take(attack.world, wasm))
        try:
            component = self._outer.admit(attack.world, wasm)
        except SandboxError as refused:
            ending = Ending(code=refused.code, message=refused.message)
            return lambda: ending
        guest = self._place(self._outer, attack.world, component.digest)
        return lambda: _ending(lambda: self._call(guest, "{}", _Host()))

    def _take(self, world: World, wasm: bytes) -> Ending:
        self._outer.admit(world, wasm)
        return Ending(code=CONTAINED, message="compiled in the jail, within its limits")

    def _python(self, attack: PythonAttack) -> Callable[[], Ending]:
        if attack.flow is None:
            return lambda: _ending(lambda: self._call(self._contract, attack.code, _Host()))
        start = {
            "flowId": "00000000-0000-4000-8000-000000000000",
            "flowClass": attack.flow,
            "me": "O=Mallory, L=London, C=GB",
            "requestBody": {"code": attack.code} if attack.code else {},
            "session": None,
        }
        text = json.dumps(start)
        return lambda: _ending(lambda: self._call(self._workflow, text, _Host()))

    def _guest(
        self, sandbox: Sandbox, world: World, files: Mapping[str, str], modules: Sequence[str]
    ) -> Guest | IsolatedGuest:
        source = PythonSource(files=files, entry_modules=("cordapp.guest", *modules))
        return self._place(sandbox, world, sandbox.make_image(world, source).digest)

    def _call(self, guest: Guest | IsolatedGuest, argument: str, host: "_Host") -> Ending:
        outcome = guest.call(
            _EXPORT[guest.component.world],
            argument,
            limits=self._limits,
            host=host if guest.component.world is World.WORKFLOW else None,
            granted=_GRANTED,
        )
        return host.judged(_reported(outcome))


class _Host:
    """The host side of a gauntlet's flow: it logs, returns the time, and refuses other calls."""

    def __init__(self) -> None:
        self._logged: list[str] = []

    def __call__(self, interface: str, function: str, request: str) -> str:
        if (interface, function) == ("flow", "now"):
            return _NOW
        if interface == "log":
            self._logged.append(printable(_logged(request)))
            return "null"
        raise GuestCallError(json.dumps({"code": "call-refused", "message": "not in the gauntlet"}))

    def judged(self, ending: Ending) -> Ending:
        """An attack on the log was stopped if the log line has no terminal control characters."""
        if not self._logged:
            return ending
        if all(line.isprintable() for line in self._logged):
            return Ending(
                code="log-scrubbed", message=f"logged as {self._logged[-1]}"[:_MESSAGE_MAX]
            )
        return Ending(code="log-not-scrubbed", message="the log holds control characters")


def _logged(request: str) -> str:
    """The message of a log line, or the whole text if it is not a log line."""
    try:
        line = checked_json(mended_json(request))
    except GuestTextError:
        return request
    return str(line.get("message")) if isinstance(line, dict) else request


def _ending(attempt: Callable[[], Ending]) -> Ending:
    try:
        return attempt()
    except SandboxError as refused:
        return Ending(code=refused.code, message=refused.message[:_MESSAGE_MAX])


def _reported(outcome: Outcome) -> Ending:
    """The guest's own error, or the fact that it ran to its end."""
    if not isinstance(outcome, Returned) or not outcome.is_error:
        return Ending(code=CONTAINED, message="ran to its end")
    try:
        report = checked_json(mended_json(outcome.value or ""))
    except GuestTextError:
        report = None
    if not isinstance(report, dict):
        return Ending(code="guest-error", message=(outcome.value or "")[:_MESSAGE_MAX])
    failures = report.get("failures")
    first = failures[0] if isinstance(failures, list) and failures else report
    if not isinstance(first, dict):
        return Ending(code="guest-error", message=(outcome.value or "")[:_MESSAGE_MAX])
    message = str(first.get("message", ""))[:_MESSAGE_MAX]
    return Ending(code=str(first.get("type", "guest-error")), message=message)


def _sdk() -> dict[str, str]:
    return _texts(resources.files("sandbox") / "sdk" / "cordapp", prefix="cordapp/")


def _hostile() -> dict[str, str]:
    return _texts(resources.files("sample_cordapps") / "hostile" / "workflows", prefix="")


def _texts(folder: Traversable, *, prefix: str) -> dict[str, str]:
    return {
        prefix + file.name: file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".py")
    }


@contextmanager
def opened_arena(sandbox: Sandbox, limits: Limits, place: Place = here) -> Iterator[Harness]:
    """An arena whose outer sandbox is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="cordbox-gauntlet-") as folder:
        yield Harness(sandbox, Sandbox(cache_dir=Path(folder)), limits, place)
