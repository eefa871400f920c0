"""The supervisor: starts a host's worker processes, restarts those that die, stops them in order.

It serves no requests itself. It holds what must outlive a worker: the data directory's lock and the
socket of the REST interface, on which clients wait while its worker is restarted.
`host.runtime.workers.restarts` makes the decisions; this module carries them out, on one thread.
"""

import os
import selectors
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from threading import Thread

import structlog

from host.adapters.files.data_directory import DataDirectory
from host.adapters.files.identity import Keeping
from host.adapters.files.secret_files import read_secret
from host.adapters.os.system import SteadyClock, SystemClock
from host.domain.errors import HostError
from host.domain.workers import WorkerKind
from host.observe.logs import configure_logging
from host.ports.clock import Clock
from host.rest.listener import addresses_of, bind, bound
from host.runtime.rpc import RpcClient
from host.runtime.rpc.frames import Refusal, error_of
from host.runtime.workers.flow_group import FLOW_GROUP
from host.runtime.workers.hangup import Load, reread
from host.runtime.workers.restarts import (
    Command,
    Kill,
    Phase,
    Start,
    Supervision,
    Terminate,
    Worker,
)
from host.runtime.workers.run_directory import RunDirectory, WorkerRow, WorkerTable
from host.runtime.workers.subprocess import Child, ForkServer, Handover, WorkerStartError
from host.settings import HostSettings
from host.settings.sections import LOG

START_DEATHS_MAX = 3
"""The start of a host fails after this many deaths of a worker before all were ready once."""
STOP_MARGIN_MS = 5_000
_GROUP_SECONDS_MAX = 5.0
_PASSWORD_VARIABLE = "CORDBOX_ADMIN_PASSWORD"  # noqa: S105  # the variable's name

_KINDS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_log = structlog.get_logger("cordbox.supervisor")

Ready = Callable[[Mapping[str, str]], None]


def supervise(
    settings: HostSettings,
    *,
    given_password: str | None,
    on_ready: Ready,
    is_new: bool = False,
    load: Load | None = None,
) -> None:
    """Run a host with worker processes until SIGTERM or SIGINT.

    Args:
        settings: all settings.
        given_password: the administrator's, unless a file is set.
        on_ready: called once all workers are ready, with `url`, `certificate`, with a gateway
            `gatewayListen`, and, if the host made the administrator's password,
            `adminPasswordFile`.
        is_new: start a new cluster if the files of the data directory belong to different clusters.
        load: reads the settings again, on SIGHUP.

    Raises:
        HostError: the host cannot start; nothing is left running.
    """
    if settings.tls_certificate_file is not None:
        # Imported here to keep the supervisor small: it needs no cryptography otherwise.
        from host.rest.tls_files import check_given_files  # noqa: PLC0415

        check_given_files(settings, SystemClock())
    if settings.admin_password_file is not None:
        read_secret(settings.admin_password_file)  # Checked before workers are started.
    # Files that the host creates are accessible to their owner only; workers inherit this.
    os.umask(0o077)
    with ExitStack() as stack:
        directory = DataDirectory.hold(settings.data_dir, is_new=is_new)
        stack.callback(directory.release)
        listener = stack.enter_context(bind(settings.listen_host, settings.listen_port))
        gateways = stack.enter_context(bound(settings.gateway_listen))
        run = RunDirectory(directory.runtime)
        run.create(settings)
        server = stack.enter_context(closing(ForkServer(_environment())))
        keeping = stack.enter_context(Keeping(directory.path))

        def ready(facts: Mapping[str, str]) -> None:
            keeping.begin()
            listen = {"gatewayListen": addresses_of(gateways)} if gateways else {}
            on_ready({"url": url, **listen, **facts})

        url = f"https://{settings.listen.rpartition(':')[0]}:{listener.getsockname()[1]}"
        supervisor = _Supervisor(
            settings,
            server,
            directory,
            run,
            listener=listener,
            gateways=gateways,
            given_password=given_password,
            on_ready=ready,
            load=load,
        )
        supervisor.run()


def _environment() -> Mapping[str, str]:
    """The variables of all workers: the password is for REST alone."""
    return {k: v for k, v in os.environ.items() if k != _PASSWORD_VARIABLE}


class _Supervisor:
    def __init__(
        self,
        settings: HostSettings,
        server: ForkServer,
        directory: DataDirectory,
        run: RunDirectory,
        *,
        listener: socket.socket,
        gateways: Sequence[socket.socket],
        given_password: str | None,
        on_ready: Ready,
        load: Load | None,
    ) -> None:
        self._settings = settings
        self._load = load
        self._server = server
        self._directory = directory
        self._run = run
        self._listener = listener
        self._gateways = gateways
        self._password = given_password
        self._on_ready: Ready | None = on_ready
        # Monotonic: a dead worker must be restarted even if the system clock is set back.
        self._clock: Clock = SteadyClock(SystemClock())
        self._selector = selectors.DefaultSelector()
        self._children: dict[str, Child] = {}
        self._facts: dict[str, str] = {}
        self._failure: Exception | None = None
        self._state = Supervision.begin(
            settings.worker_plan,
            stop_ms_max=settings.stop_seconds_max * 1000 + STOP_MARGIN_MS,
            now=self._clock.now_ms(),
        )

    def run(self) -> None:
        """Keep the workers running until a stop signal, or until the start fails."""
        with _signals() as signals, self._selector:
            self._selector.register(
                signals, selectors.EVENT_READ, partial(self._signalled, signals)
            )
            while not self._state.is_over:
                self._tick()
                at = self._state.next_at
                wait = None if at is None else max(at - self._clock.now_ms(), 0) / 1000
                for key, _ in self._selector.select(wait):
                    key.data()
        if self._failure is not None:
            raise self._failure

    def _tick(self) -> None:
        self._state, commands = self._state.tick(self._clock.now_ms())
        self._carry_out(commands)

    def _carry_out(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case Start(name=name):
                    self._start(name)
                case Terminate(name=name):
                    self._children[name].send(signal.SIGTERM)
                case Kill(name=name):
                    _log.warning("worker-killed", name=name)
                    self._children[name].send(signal.SIGKILL)
        if commands:
            self._publish()

    def _start(self, name: str) -> None:
        worker = self._worker(name)
        try:
            child = Child(self._server, worker.kind, name, self._handover(worker))
        except (OSError, WorkerStartError) as refused:
            _log.error("worker-not-started", name=name, reason=str(refused))
            self._died(name, "not started")
            return
        self._children[name] = child
        self._selector.register(
            child.descriptor, selectors.EVENT_READ, partial(self._ended, name, child)
        )
        self._selector.register(
            child.output, selectors.EVENT_READ, partial(self._heard, name, child)
        )
        _log.info("worker-started", name=name, of_pid=child.pid, restarts=worker.restarts)

    def _handover(self, worker: Worker) -> Handover:
        words = ["--data-dir", str(self._directory.path.absolute())]
        descriptors = [("--lock", self._directory.lock_descriptor)]
        environment = {}
        if worker.kind is WorkerKind.REST:
            descriptors.append(("--listener", self._listener.fileno()))
            if self._password is not None:
                environment[_PASSWORD_VARIABLE] = self._password
        counts = self._settings.worker_plan.counts
        serves_gateway = WorkerKind.GATEWAY if WorkerKind.GATEWAY in counts else WorkerKind.REST
        gateways = self._gateways if worker.kind is serves_gateway else ()
        descriptors += [("--gateway-listener", gateway.fileno()) for gateway in gateways]
        number = [w.name for w in self._state.workers].index(worker.name)
        monitor = self._settings.monitor_address(number)
        if monitor is not None:
            words += ["--monitor", monitor]
        return Handover(words=words, descriptors=descriptors, environment=environment)

    def _heard(self, name: str, child: Child) -> None:
        for fact in child.heard():
            self._report(name, fact)
        if child.has_hung_up:
            self._selector.unregister(child.output)

    def _report(self, name: str, fact: Mapping[str, object]) -> None:
        if fact.get("event") == "refused":
            self._refused(name, fact)
            return
        facts = {k: v for k, v in fact.items() if k != "event" and isinstance(v, str)}
        self._facts.update(facts)
        self._state = self._state.ready(name, self._clock.now_ms())
        self._publish()
        _log.info("worker-ready", name=name)
        if self._on_ready is not None and all(
            worker.phase is Phase.READY for worker in self._state.workers
        ):
            try:
                self._on_ready(self._facts)
            except HostError as failure:
                self._fail(failure)
            else:
                self._on_ready = None

    def _refused(self, name: str, fact: Mapping[str, object]) -> None:
        codes, message = fact.get("codes"), str(fact.get("message"))
        known = tuple(str(code) for code in codes) if isinstance(codes, list) else ()
        _log.error(
            "worker-refused", name=name, code=next(iter(known), "host-error"), reason=message
        )
        self._fail(error_of(Refusal(known or ("host-error",), message, {})))

    def _ended(self, name: str, child: Child) -> None:
        with suppress(KeyError):
            self._selector.unregister(child.output)
        self._selector.unregister(child.descriptor)
        for fact in child.heard():
            self._report(name, fact)
        status = child.end()
        del self._children[name]
        self._run.socket(name).unlink(missing_ok=True)
        worker = self._worker(name)
        expected = worker.phase is Phase.STOPPING
        if worker.kind is WorkerKind.FLOW and not expected:
            # On a separate thread: the other workers may be slow, or dead as well.
            Thread(target=self._tell_group, args=(name, child.pid), daemon=True).start()
        (_log.info if expected else _log.warning)(
            "worker-ended", name=name, of_pid=child.pid, status=status
        )
        self._died(name, f"status {status}")

    def _died(self, name: str, how: str) -> None:
        self._state, commands = self._state.died(name, self._clock.now_ms())
        self._publish()
        self._carry_out(commands)
        if self._worker(name).deaths >= START_DEATHS_MAX:
            self._fail(WorkerStartError(f"worker {name} ends while the host starts ({how})"))

    def _tell_group(self, name: str, pid: int) -> None:
        """Have another flow worker, or else the REST worker, release the dead one's partitions."""
        reason = ""
        for kind in (WorkerKind.FLOW, WorkerKind.REST):
            client = RpcClient(
                self._run.path,
                f"{kind}-*",
                self._run.key(),
                patience_seconds=0,
                answer_seconds_max=_GROUP_SECONDS_MAX,
            )
            try:
                client.proxy(FLOW_GROUP).left(name, pid)
            except HostError as failed:
                reason = failed.message
            else:
                return
            finally:
                client.close()
        # Its successor removes it, or else its heartbeats expire.
        _log.info("group-not-told", name=name, reason=reason)

    def _fail(self, failure: Exception) -> None:
        """Abort the start of the host. A host that was ready once keeps restarting workers."""
        if self._on_ready is None or self._state.is_stopping:
            return
        self._failure = failure
        self._stop()

    def _signalled(self, signals: socket.socket) -> None:
        numbers = signals.recv(4096)
        if self._state.is_stopping:
            return
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            self._stop()
        elif signal.SIGHUP in numbers:
            self._hang_up()

    def _hang_up(self) -> None:
        """Read the settings again, and have the workers apply the live ones."""
        if self._load is not None:
            self._settings = reread(self._settings, self._load)
            level = self._settings.section(LOG).level
            configure_logging(level=level, form=self._settings.log_format, worker="supervisor")
        try:
            self._run.rewrite(self._settings)
        except OSError as error:
            _log.error("settings-not-reread", code="storage", reason=error.strerror)
        for child in self._children.values():
            child.send(signal.SIGHUP)

    def _stop(self) -> None:
        _log.info("stopping")
        self._state, commands = self._state.stop(self._clock.now_ms())
        self._carry_out(commands)

    def _worker(self, name: str) -> Worker:
        return next(worker for worker in self._state.workers if worker.name == name)

    def _publish(self) -> None:
        rows = [
            WorkerRow(
                kind=worker.kind,
                name=worker.name,
                phase=worker.phase,
                since=worker.since,
                pid=child.pid if (child := self._children.get(worker.name)) else None,
                restarts=worker.restarts,
            )
            for worker in self._state.workers
        ]
        with suppress(OSError):  # A full disk must not stop the supervisor.
            self._run.publish(WorkerTable(supervisor_pid=os.getpid(), workers=rows))


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """A socket from which the numbers of received signals can be read."""
    receiver, sender = socket.socketpair()
    with receiver, sender:
        receiver.setblocking(False)  # noqa: FBT003  # its one parameter
        sender.setblocking(False)  # noqa: FBT003  # its one parameter
        before = {kind: signal.signal(kind, lambda *_: None) for kind in _KINDS}
        wakeup = signal.set_wakeup_fd(sender.fileno())
        try:
            yield receiver
        finally:
            signal.set_wakeup_fd(wakeup)
            for kind, handler in before.items():
                signal.signal(kind, handler)
