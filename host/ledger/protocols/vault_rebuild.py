"""Rebuild: a node runs the vault functions of its packages again, for all that it has verified.

After an upgrade that changed a function, or after functions have failed. Each step is bounded; a
flow makes some of them and remembers the next flow, so that no journal grows with the vault.
"""

from msgspec import Struct

from host.domain.json import JsonObject, JsonValue
from host.ledger.core.answers import RebuiltOutputs
from host.ledger.protocols.steps import Steps, ask, call, read_request
from host.ports.programs import Forget, Remember, SystemFlow

REBUILD = SystemFlow(name="cordbox:vault-rebuild", program="rebuild-vault", interface="ledger")
STEPS_MAX = 20
"""Steps of one flow."""
_AGAIN_MS = 60 * 60_000
"""When a flow that failed is started again, at the place where it began."""


class RebuildRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be rebuilt, and what is done.

    Attributes:
        rebuild: names it in the log and in results.
        after: the number of the last transaction that is done; 0: none is.
        until: the number of the last transaction.
        transactions, changed, failed: how many were looked at, were changed, and were left as they
            are because the functions failed.
    """

    rebuild: str
    after: int
    until: int
    transactions: int = 0
    changed: int = 0
    failed: int = 0

    def to_json(self) -> JsonObject:
        return {name: getattr(self, name) for name in self.__struct_fields__}


def rebuild_of(wanted: RebuildRequest) -> Remember:
    """The rebuild, or the rest of one, as operators and flows have it made."""
    return Remember(
        flow=REBUILD.name,
        key=_key(wanted),
        request=wanted.to_json(),
        after_ms=0,
        again_ms=_AGAIN_MS,
    )


def rebuild_vault(request: JsonObject) -> Steps[JsonValue]:
    """Rebuild a part of the vault; answers what is done, and whether that is all."""
    done = read_request(request, RebuildRequest)
    for _ in range(STEPS_MAX):
        step = yield from ask("rebuild-outputs", done.to_json(), RebuiltOutputs)
        done = RebuildRequest(
            rebuild=done.rebuild,
            after=step.after,
            until=done.until,
            transactions=done.transactions + step.transactions,
            changed=done.changed + step.changed,
            failed=done.failed + step.failed,
        )
        if step.done:
            yield from call("rebuild-ended", done.to_json())
            yield Forget(_key(done))
            return {**done.to_json(), "done": True}
    yield rebuild_of(done)
    return {**done.to_json(), "done": False}


def _key(wanted: RebuildRequest) -> str:
    return f"vault-rebuild:{wanted.rebuild}"
