"""A network of virtual nodes that all run one CorDapp, on a host's own parts."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any, Self, TextIO

from cordapp.contracts import Command, ContractState, TimeWindow
from host.domain.clock import SimClock
from host.domain.ids import EpochMs, HoldingIdentity, ShortHash
from host.domain.instants import instant_text
from host.domain.packages import CodeWorld, CpiRecord, contracts_of
from host.domain.vnode import AsyncStatus
from host.domain.x500 import MemberX500Name
from host.flow.core.events import FlowEnded, FlowEngineEvent, FlowStarted, GuestLogged
from host.flow.engine.service import FlowService
from host.network.membership.registration import RegistrationStatus
from host.runtime.wiring.flows import make_engine
from host.tools.cordapps.project import load_project
from host.tools.notary_server import NON_VALIDATING, notary_context, server_project
from host.tools.testkit.code import KitCode, native_code
from host.tools.testkit.errors import ContractRefusedError
from host.tools.testkit.flows import NetworkFlows
from host.tools.testkit.node import Node
from host.tools.testkit.parts import GROUP_ID, START, KitParts
from host.tools.testkit.rebuilt import rebuilt
from host.tools.testkit.transactions import ledger_transaction

_PRINTED: Mapping[str, Callable[[], TextIO]] = MappingProxyType(
    {"stdout": lambda: sys.stdout, "stderr": lambda: sys.stderr}
)
"""Loggers of what the sandbox's code prints, and where it goes."""
_REGISTRATION = {"corda.key.scheme": "CORDA.ECDSA.SECP256R1"}


class Network:
    """Nodes, the time that they share, and the code that they run.

    A network is closed at the end of its test: by the fixture that made it, or by `with`.

    Args:
        code: what the nodes run; see `host.tools.testkit.code`.
        settings: of the host (docs/reference/settings.md), where they are not the defaults.
    """

    def __init__(self, code: KitCode, *, settings: Mapping[str, Any] | None = None) -> None:
        self.code = code
        self._stack = ExitStack()
        self._clock = SimClock(START)
        try:
            self.parts = KitParts.open(
                code, clock=self._clock, settings=settings or {}, stack=self._stack
            )
            self._engine = make_engine(self.parts, clock=self._clock, events=self._heard)
        except BaseException:
            self._stack.close()
            raise
        self._nodes: dict[ShortHash, Node] = {}
        self.flows = NetworkFlows(
            store=self.parts.store,
            service=FlowService(
                units=self.parts.store,
                clock=self._clock,
                entropy=self.parts.base.entropy,
                quotas=self.parts.quotas,
            ),
            failures=self.parts.failures,
            folders=code.folders,
        )

    @property
    def described(self) -> Mapping[str, Any]:
        """What the CorDapp declares (host-api.md, `describe`)."""
        return self.code.described

    @property
    def nodes(self) -> Mapping[str, Node]:
        """The nodes by X.500 name."""
        return {node.name: node for node in self._nodes.values()}

    def node(
        self,
        name: str,
        *,
        notary: str | None = None,
        context: Mapping[str, str] | None = None,
    ) -> Node:
        """The node of this X.500 name; made, and registered with its group, at the first call.

        Args:
            name: the member's.
            notary: the X.500 name of the notary service that it runs; it is a notary then.
            context: more of the registration context, such as `ext.` entries.

        Raises:
            InvalidX500NameError: `name` is no member name.
            ValueError: the group does not take it; the message says why.
        """
        holding = HoldingIdentity(x500_name=MemberX500Name.parse(name), group_id=GROUP_ID)
        found = self._nodes.get(holding.short_hash)
        role = {} if notary is None else notary_context(notary, NON_VALIDATING)
        return found or self._make(holding, self.parts.catalogue.cpi, {**role, **(context or {})})

    def notary(
        self,
        name: str = "O=Notary, L=London, C=GB",
        *,
        service: str = "O=Notary Service, L=London, C=GB",
        protocol: str = NON_VALIDATING,
    ) -> Node:
        """The node of this X.500 name, which runs the notary that Cordbox ships.

        Its CPI has the contracts of the CorDapp under test, for notaries that verify them.

        It is made, and registered with its group, at the first call. Transactions name `service`
        as their notary; from then on, each must name one.

        Args:
            name: the member's.
            service: the X.500 name of the notary service; not that of a member.
            protocol: a key of `host.tools.notary_server.SERVERS`.

        Raises:
            InvalidX500NameError: a name is no member name.
            ValueError: the group does not take it; the message says why.
        """
        holding = HoldingIdentity(x500_name=MemberX500Name.parse(name), group_id=GROUP_ID)
        found = self._nodes.get(holding.short_hash)
        if found is not None:
            return found
        # In this process, whatever the CorDapp under test runs in: it is not what is tested.
        server = native_code(load_project(server_project(protocol)))
        contracts = [cpk for cpk in self.code.cpks if cpk.world is CodeWorld.CONTRACT]
        cpi = self.parts.add(server, with_cpks=contracts)
        return self._make(holding, cpi, notary_context(service, protocol))

    def verify(
        self,
        *,
        inputs: Sequence[ContractState] = (),
        outputs: Sequence[ContractState] = (),
        commands: Sequence[Command] = (),
        signatories: Sequence[str] = (),
        references: Sequence[ContractState] = (),
        time_window: TimeWindow | None = None,
    ) -> None:
        """Verify a transaction by the CorDapp's contracts, without a ledger around it.

        A time window needs its end, `until`, as in `set_time_window` of a builder.

        Raises:
            ContractRefusedError: a contract refuses.
            TransactionInvalidError: the transaction's structure breaks a rule of the ledger.
        """
        __tracebackhide__ = True
        cpi = self.parts.catalogue.cpi
        transaction = ledger_transaction(
            cpi,
            public_keys=self.parts.public_keys,
            inputs=inputs,
            outputs=outputs,
            commands=commands,
            signatories=signatories,
            references=references,
            time_window=time_window,
        )
        known = len(self.parts.failures.refusals)
        failures = self.parts.contracts.verify(contracts_of(cpi), transaction.to_json()).failures
        if failures:
            reports = self.parts.failures.refusals[known:]
            cause = rebuilt(reports[0], self.code.folders) if reports else None
            raise ContractRefusedError(failures) from cause

    def now(self) -> str:
        """The network's instant."""
        return instant_text(self._clock.now_ms())

    def advance(self, millis: int) -> None:
        """Let time pass, and everything happen that is due at its instant meanwhile."""
        end = EpochMs(self._clock.now_ms() + millis)
        self._engine.drain()
        while (due := self._engine.next_due()) is not None and due <= end:
            self._advance_to(due)
        if self._clock.now_ms() < end:
            self._advance_to(end)

    def run(self, *, since: int = 0) -> None:
        """Let everything happen that can; time moves when all that is open waits for it.

        Args:
            since: of how many flows it does not matter whether they end, from the first that began.
        """
        self._engine.drain()
        while self.flows.some_open(since) and (due := self._engine.next_due()) is not None:
            self._advance_to(due)

    def drain(self) -> None:
        """Let everything happen that can at this instant."""
        self._engine.drain()

    def close(self) -> None:
        """Let go of what the network holds; its nodes cannot be used any more."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def _advance_to(self, instant: EpochMs) -> None:
        # What is due is done at most once an instant: a second look comes a moment later.
        self._clock.advance(max(1, instant - self._clock.now_ms()))
        self._engine.drain()

    def _make(self, holding: HoldingIdentity, cpi: CpiRecord, context: Mapping[str, str]) -> Node:
        self.parts.catalogue.admit(str(holding.x500_name))
        self._create(holding, cpi)
        self._register(holding.short_hash, context)
        made = Node(self, holding)
        self._nodes[holding.short_hash] = made
        return made

    def _create(self, holding: HoldingIdentity, cpi: CpiRecord) -> None:
        nodes = self.parts.nodes
        checksum = cpi.file_checksum.partition(":")[2][:12]
        operation = nodes.operation(nodes.create(checksum, str(holding.x500_name)))
        if operation.status is not AsyncStatus.SUCCEEDED:
            raise ValueError(f"{holding.x500_name}: {operation.error_reason}")

    def _register(self, short_hash: ShortHash, context: Mapping[str, str]) -> None:
        request = self.parts.registrations.register(short_hash, {**_REGISTRATION, **context})
        if request.status is not RegistrationStatus.APPROVED:
            raise ValueError(f"registration is {request.status}: {request.reason}")

    def _heard(self, event: FlowEngineEvent) -> None:
        match event:
            case FlowStarted():
                self.flows.started(event)
            case FlowEnded():
                self.flows.ended(event)
            case GuestLogged():
                node = self._nodes[event.holding_id]
                node.log.append(f"{event.level.upper()} {event.message}")
                if event.logger in _PRINTED:
                    # As from plain Python: pytest shows it beside a failure.
                    _PRINTED[event.logger]().write(f"{event.message}\n")
            case _:
                pass
