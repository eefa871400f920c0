"""The reload loop: build, upload, watch, repeat; errors are reported and do not end the loop."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event

from cpi.errors import CpiError
from cpi.package.build import build_cpi
from host.domain.errors import HostError
from host.guests.replay.code import code_of_cpi
from host.guests.replay.run import replay
from host.tools.client.host_client import HostClient, HostConflictError
from host.tools.cordapps.build import build_cordapp
from host.tools.cordapps.toolchains import ComponentBuilder
from host.tools.dev.folder import DevFolder
from host.tools.dev.network_setup import ALIAS, make_nodes
from host.tools.dev.watch import SourceWatch, named
from host.tools.flows.client import FlowPlace, HostFlows
from host.tools.network.operations import nodes_by_name, trust_signer, upload_cpi
from host.tools.notary_server import NON_VALIDATING, notary_context, server_project
from host.tools.refusals import faults_of
from sandbox.errors import SandboxError
from sandbox.runtime import Sandbox

NOTARY_SERVICE = "O=Notary Service, L=London, C=GB"
CPI_VERSION = "dev"
"""Every build has the same version: a forced upload replaces the previous one."""
CHECKED_MAX = 20
"""Maximum number of running flows that are replayed with new code before it is uploaded."""
_POLL_SECONDS = 0.3

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltCpi:
    """A signed CPI of the development network. `checksum` identifies its code."""

    name: str
    checksum: str
    data: bytes


class DevLoop:
    """Keeps a host up to date with the newest code of a project.

    Args:
        project: the CorDapp's folder.
        folder: of the development network.
        client: of the running host, as admin.
        sandbox: builds.
        build_component: makes components of other languages than Python.
        tell: called with one line for each event.
        progress: called with a sentence before each step of a build.
    """

    def __init__(
        self,
        *,
        project: Path,
        folder: DevFolder,
        client: HostClient,
        sandbox: Sandbox,
        build_component: ComponentBuilder,
        tell: Tell,
        progress: Tell,
    ) -> None:
        self._project = project
        self._folder = folder
        self._client = client
        self._sandbox = sandbox
        self._build_component = build_component
        self._tell = tell
        self._progress = progress
        self._uploaded: str | None = None
        self.nodes: Mapping[str, str] = {}

    def run(self, stop: Event, is_alive: Callable[[], bool]) -> None:
        """Bring the network up, and reload after each change, until `stop` or the host's end."""
        watch = SourceWatch(self._project)
        self.reload()
        while not stop.wait(_POLL_SECONDS) and is_alive():
            changed = watch.changes()
            if changed:
                self._tell(f"changed: {named(self._project, changed)}")
                self.reload()

    def reload(self) -> bool:
        """Build, upload, and make the nodes that are missing; False if something was refused."""
        begun = time.monotonic()
        try:
            built = self._build(self._project)
            if built.checksum == self._uploaded:
                self._tell("nothing that is packaged has changed")
                return True
            self._warn_of_running_flows(built)
            short = self._upload(built)
            self._make_notary()
            self._uploaded = built.checksum
            self._folder.cpi.write_bytes(built.data)
            self.nodes = self._made_nodes(short)
        except (HostError, CpiError, SandboxError) as refused:
            for fault in faults_of(refused):
                for line in fault.lines:
                    self._tell(line)
            return False
        except OSError as failed:
            self._tell(f"error[file-access]: {failed.filename or self._project}: {failed.strerror}")
            return False
        self._tell(f"{built.name} runs as CPI {short} after {time.monotonic() - begun:.1f} s")
        return True

    def _make_notary(self) -> None:
        """Make the notary's node, unless it is there or the network has none."""
        notary = self._folder.notary
        existing = nodes_by_name(self._client, self._folder.group_id)
        if notary is None or notary in existing:
            return
        checksum = self._upload(self._build(server_project(NON_VALIDATING)))
        context = notary_context(NOTARY_SERVICE, NON_VALIDATING)
        make_nodes(self._client, checksum, [notary], existing, self._tell, context=context)

    def _build(self, project: Path) -> BuiltCpi:
        built = build_cordapp(
            project,
            keys=[self._folder.key],
            out_dir=self._folder.packages,
            sandbox=self._sandbox,
            progress=self._progress,
            build_component=self._build_component,
        )
        for warning in built.warnings:
            self._tell(f"warning: {warning}")
        cpb = built.cpb.path.read_bytes()
        data = build_cpi(
            name=built.name,
            version=CPI_VERSION,
            cpb=(built.cpb.path.name, cpb),
            group_policy=self._folder.group_policy,
            keys=[self._folder.key],
        )
        codes = "+".join(cpk.descriptor.code_digest for cpk in built.cpks)
        return BuiltCpi(name=f"{built.name} {built.version}", checksum=codes, data=data)

    def _upload(self, built: BuiltCpi) -> str:
        file_name = f"{built.name.partition(' ')[0]}.cpi"
        upload = partial(upload_cpi, self._client, built.data, file_name, progress=self._progress)
        trust_signer(self._client, self._folder.certificate, alias=ALIAS)
        try:
            return upload(force=False)
        except HostConflictError:
            return upload(force=True)

    def _made_nodes(self, short_checksum: str) -> Mapping[str, str]:
        existing = nodes_by_name(self._client, self._folder.group_id)
        return make_nodes(self._client, short_checksum, self._folder.members, existing, self._tell)

    def _warn_of_running_flows(self, built: BuiltCpi) -> None:
        """Report the running flows that the new code would break, found by a replay."""
        flows = HostFlows(self._client)
        for place in self._running(flows)[:CHECKED_MAX]:
            with suppress(HostError):  # it ended meanwhile, or has no history
                recording = flows.recording(place)
                code = code_of_cpi(
                    built.data, "the new code", recording.flow.flow_class, self._sandbox, exact=True
                )
                divergence = replay(recording, code).divergence
                if divergence is None:
                    self._tell(f"running flow {place.request_id} goes on with the new code")
                else:
                    self._tell(
                        f"warning: running flow {place.request_id} fails when it goes on: step"
                        f" {divergence.step} was {divergence.expected}, is {divergence.actual}"
                    )

    def _running(self, flows: HostFlows) -> Sequence[FlowPlace]:
        nodes = nodes_by_name(self._client, self._folder.group_id).values()
        return [
            FlowPlace(node=node, request_id=str(flow["clientRequestId"]))
            for node in nodes
            for flow in flows.list(node, status="RUNNING", responders=True)
        ]
