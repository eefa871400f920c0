"""A key, the CorDapps, the network's policy, the CPIs."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sample_cordapps.demo.console import DemoConsole, StepFailedError
from sample_cordapps.demo.processes import CommandLine
from sample_cordapps.demo.together import together

STORE_PASSWORD = "demo-password"  # noqa: S105  # the demonstration's own throw-away key
KEY_ALIAS = "demo"
MEMBERS = tuple(f"O={name}, L=London, C=GB" for name in ("Alice", "Bob", "Charlie"))
NOTARY = "O=Notary, L=London, C=GB"
SERVICE = "O=Notary Service, L=London, C=GB"
VERIFYING_NOTARY = "O=Verifying Notary, L=London, C=GB"
VERIFYING_SERVICE = "O=Verifying Notary Service, L=London, C=GB"
"""After `SERVICE` in the order of names: flows that name no notary take the first."""
BANK, CAROL, DAVE, ERIN = (
    f"O={name}, L=London, C=GB" for name in ("Bank", "Carol", "Dave", "Erin")
)
TREASURY, FRANK, GRACE = (f"O={name}, L=London, C=GB" for name in ("Treasury", "Frank", "Grace"))
HEIDI = "O=Heidi, L=London, C=GB"
NETWORK = (
    *(*MEMBERS, NOTARY, VERIFYING_NOTARY),
    *(BANK, CAROL, DAVE, ERIN, TREASURY, FRANK, GRACE, HEIDI),
)
"""Everybody in the group: CPIs of several CorDapps share its policy."""
MALLORY = "O=Mallory, L=London, C=GB"
LENIENT = "lenient"
"""A copy of `utxo_demo` whose contract asks for no signatures."""
_SAMPLES = ("iou", "utxo_demo", LENIENT, "cash", "dvp", "hostile")
VERIFYING = "verifying-notary"
_NOTARIES = ("notary", VERIFYING)
_ORDER = ("iou", "utxo_demo", "notary", VERIFYING, "cash", LENIENT, "hostile", "dvp")
_SECONDS_MAX = 600
_DEMAND = 'require(key in transaction.signatories, "Every participant signs")'
_AT_ONCE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """The files of the demonstration, relative to the repository's root."""

    folder: Path
    samples: Path

    @property
    def keystore(self) -> Path:
        return self.folder / "signing.p12"

    @property
    def certificate(self) -> Path:
        return self.folder / "signing.pem"

    def cpi(self, name: str) -> Path:
        return self.folder / f"{name}.cpi"

    def policy(self, name: str) -> Path:
        return self.folder / f"{name}-GroupPolicy.json"

    def signing(self) -> list[str]:
        return ["--keystore", str(self.keystore), "--storepass", STORE_PASSWORD, "--key", KEY_ALIAS]


def make_key(console: DemoConsole, shell: CommandLine, workshop: Workshop) -> None:
    with console.step("Make a signing key") as record:
        shell.cordbox(
            *("keystore", "create", "--file", str(workshop.keystore)),
            *("--storepass", STORE_PASSWORD, "--alias", KEY_ALIAS),
            *("--dname", "CN=Demo Signer, O=Cordbox, L=London, C=GB"),
        )
        shell.cordbox(
            *("keystore", "export-certificate", "--file", str(workshop.keystore)),
            *("--storepass", STORE_PASSWORD, "--alias", KEY_ALIAS),
            *("--output", str(workshop.certificate)),
        )
        record.facts["keystore"] = str(workshop.keystore)


class Packages:
    """CPIs that are made while other things happen; whoever needs one waits for it.

    Attributes:
        workshop: where they lie.
    """

    def __init__(self, shell: CommandLine, workshop: Workshop) -> None:
        self.workshop = workshop
        self._shell = shell
        self._cpbs: dict[str, Future[Path]] = {name: Future() for name in _ORDER}
        self._cpis: dict[str, Future[Path]] = {name: Future() for name in _ORDER}

    def cpb(self, name: str) -> Path:
        """Wait for the CPB of a sample or notary."""
        return self._cpbs[name].result(_SECONDS_MAX)

    def cpi(self, name: str) -> Path:
        """Wait for the CPI of a sample or notary."""
        return self._cpis[name].result(_SECONDS_MAX)

    def make(self, console: DemoConsole) -> str:
        """Write the policies, build and sign everything, verify one; returns its file checksum.

        The packages of the first nodes come first.
        """
        title = (
            f"Beside the next steps: build {len(_SAMPLES)} CorDapps and two notaries (two signed"
            " CPKs in a signed CPB each), write the policies, make the CPIs, verify one"
        )
        with console.apart() as own, own.step(title) as record:
            network = write_policy(self._shell.on(own), self.workshop, "network", NETWORK)
            hostile = write_policy(self._shell.on(own), self.workshop, "hostile", (MALLORY,))
            policies = {**dict.fromkeys(_ORDER, network), "hostile": hostile}
            parts: list[Callable[[DemoConsole], dict[str, object]]] = [
                partial(self._package, name, policies[name]) for name in _ORDER
            ]
            parts.append(partial(_verify, self._shell, self))
            *made, verified = together(own, parts, at_once=_AT_ONCE)
            for facts in (*made, verified):
                record.facts |= facts
            return str(verified["fileChecksum"])

    def _package(self, name: str, policy: Path, console: DemoConsole) -> dict[str, object]:
        shell, cpb, cpi = self._shell.on(console), self._cpbs[name], self._cpis[name]
        try:
            cpb.set_result(self._build(shell, name))
            words = ("--cpi-name", name, "--cpi-version", "1.0.0", "--file")
            shell.cordbox(
                *("package", "create-cpi", "--cpb", str(cpb.result())),
                *("--group-policy", str(policy), *words, str(self.workshop.cpi(name))),
                *self.workshop.signing(),
                quiet=name != "iou",
            )
            cpi.set_result(self.workshop.cpi(name))
        except BaseException as failed:
            for waited_for in (cpb, cpi):
                if not waited_for.done():
                    waited_for.set_exception(failed)
            raise
        return {name: cpb.result().stat().st_size}

    def _build(self, shell: CommandLine, name: str) -> Path:
        if name in _NOTARIES:
            return self._build_notary(shell, name)
        sources, out = self.workshop.samples / name, self.workshop.folder / name
        if name == LENIENT:
            sources = _lenient(self.workshop)
        shell.cordbox(
            *("cordapp", "build", str(sources), *self.workshop.signing()),
            *("--output-dir", str(out)),
            quiet=name != "iou",
        )
        return _only(out, "*.cpb")

    def _build_notary(self, shell: CommandLine, name: str) -> Path:
        """A notary that is shipped; `verifying-notary` verifies the contracts of `utxo_demo`."""
        cpb = self.workshop.folder / f"{name}.cpb"
        words = ["notary", "create-cpb", "--file", str(cpb), *self.workshop.signing()]
        if name == VERIFYING:
            self.cpb("utxo_demo")
            contract = _only(self.workshop.folder / "utxo_demo", "*-contract-*.jar")
            words += ["--protocol", "contract-verifying", "--contract-cpk", str(contract)]
        shell.cordbox(*words)
        return cpb


def _lenient(workshop: Workshop) -> Path:
    """Sources of a later version of `utxo_demo`, by the same signer, that demands less."""
    sources = workshop.folder / "lenient-sources"
    shutil.copytree(
        workshop.samples / "utxo_demo", sources, ignore=shutil.ignore_patterns("test_*", "__*")
    )
    _replace(sources / "contracts" / "utxo_demo_contracts.py", _DEMAND, "pass")
    _replace(sources / "cordapp.toml", "version = 1\n", "version = 2\n", times=2)
    return sources


def _replace(file: Path, old: str, new: str, *, times: int = 1) -> None:
    text = file.read_text(encoding="utf-8")
    if text.count(old) != times:
        raise StepFailedError(f"{file} has {old!r} {text.count(old)} times, expected {times}")
    file.write_text(text.replace(old, new), encoding="utf-8")


def _verify(commands: CommandLine, packages: Packages, console: DemoConsole) -> dict[str, object]:
    """Verify a CPI in two ways, and inspect it."""
    shell, workshop, cpi = commands.on(console), packages.workshop, packages.cpi("iou")
    trust = ("--certificate", str(workshop.certificate))
    words = ("package", "verify", str(cpi), "--type", "CPI", *trust, "--output", "json")
    facts = json.loads(shell.cordbox(*words))
    shell.cordbox("package", "inspect", str(cpi))
    second = shell.jarsigner(
        *("-verify", "-strict", "-keystore", str(workshop.keystore)),
        *("-storepass", STORE_PASSWORD, "-storetype", "PKCS12", str(cpi), KEY_ALIAS),
    )
    if facts["valid"] is not True:
        raise StepFailedError(f"the CPI is not valid: {facts['errors']}")
    if second and "jar verified" not in second:
        raise StepFailedError("jarsigner did not verify the CPI")
    return {
        "cpiBytes": cpi.stat().st_size,
        "cpiSignerSummaryHash": facts["cpiSignerSummaryHash"],
        "fileChecksum": facts["fileChecksum"],
        "jarsigner": bool(second),
    }


def write_policy(
    shell: CommandLine, workshop: Workshop, name: str, members: tuple[str, ...]
) -> Path:
    """The group policy of one static network."""
    policy = workshop.policy(name)
    shell.cordbox(
        *("network", "groupPolicy"),
        *(word for member in members for word in ("--name", member)),
        *("--endpoint", "http://localhost:1080", "--endpoint-protocol", "1"),
        *("--output-file", str(policy)),
        quiet=True,
    )
    return policy


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise StepFailedError(f"{folder} holds {len(found)} files {pattern}, expected one")
    return found[0]
