"""A development network with the IOU sample: a real host process, as `cordbox dev` runs it."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from host.cli import main
from host.flow.records.history_export import Recording, parse_recording
from host.tools.cache import default_cache_dir
from host.tools.cordapps.toolchains import no_toolchains
from host.tools.dev.folder import DevFolder
from host.tools.dev.host_process import HostProcess
from host.tools.dev.loop import DevLoop
from sandbox.runtime import Sandbox

SAMPLE = Path(__file__).parents[2] / "sample_cordapps" / "iou"
ALICE, BOB = "O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB"


@dataclass(slots=True, kw_only=True)
class DevNetwork:
    """A running development network; `told` is what its loop said, `steps` its progress."""

    project: Path
    folder: DevFolder
    host: HostProcess
    loop: DevLoop
    told: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    def words(self) -> list[str]:
        """Options of the command line that name the host."""
        return [
            *("--url", self.host.url, "--ca-file", str(self.host.certificate)),
            *("--password-file", str(self.folder.password_file)),
        ]


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    return Sandbox(cache_dir=default_cache_dir())


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> Iterator[DevNetwork]:
    root = tmp_path_factory.mktemp("dev")
    project = root / "iou"
    shutil.copytree(SAMPLE, project)
    folder = DevFolder(root / "network", (ALICE, BOB))
    host = HostProcess.start(
        data=folder.data,
        listen="127.0.0.1:0",
        password_file=folder.password_file,
        log=folder.log,
        options=("--cache-dir", str(default_cache_dir())),
    )
    told: list[str] = []
    steps: list[str] = []
    try:
        with host.client() as client:
            loop = DevLoop(
                project=project,
                folder=folder,
                client=client,
                sandbox=sandbox,
                build_component=no_toolchains,
                tell=told.append,
                progress=steps.append,
            )
            assert loop.reload(), told
            yield DevNetwork(
                project=project, folder=folder, host=host, loop=loop, told=told, steps=steps
            )
    finally:
        host.stop()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cordbox = Callable[..., Outcome]


@pytest.fixture
def cordbox(capsys: pytest.CaptureFixture[str]) -> Cordbox:
    """Runs the command line in this process."""

    def run(*words: str) -> Outcome:
        with pytest.raises(SystemExit) as leaving:
            main(words)
        printed = capsys.readouterr()
        return Outcome(int(leaving.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def flow(network: DevNetwork, cordbox: Cordbox) -> Cordbox:
    """Runs `cordbox flow` against the network."""

    def run(command: str, *words: str) -> Outcome:
        return cordbox("flow", command, *words, *network.words())

    return run


@pytest.fixture
def issue(flow: Cordbox, tmp_path: Path) -> Callable[..., Path]:
    """Issues an IOU from Alice to Bob, and gives the export of Alice's flow."""

    def run(request_id: str, *more: str, **body: Any) -> Path:
        request = json.dumps({"counterparty": BOB, "amount": 5, **body})
        options: Sequence[str] = more or ("--wait",)
        flow("start", ALICE, "iou_flows.IssueIou", request, "--request-id", request_id, *options)
        file = tmp_path / f"{request_id}.json"
        assert flow("export", ALICE, request_id, "--output-file", str(file)).code == 0
        return file

    return run


def read(file: Path) -> Recording:
    return parse_recording(file.read_bytes(), file.name)
