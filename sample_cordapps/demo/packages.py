"""Steps 1 to 3: a key, the CorDapps, the network's policy, the CPIs."""

import json
from dataclasses import dataclass
from pathlib import Path

from sample_cordapps.demo.console import DemoConsole, StepFailedError
from sample_cordapps.demo.processes import CommandLine

STORE_PASSWORD = "demo-password"  # noqa: S105  # the demonstration's own throw-away key
KEY_ALIAS = "demo"
MEMBERS = tuple(f"O={name}, L=London, C=GB" for name in ("Alice", "Bob", "Charlie"))
NOTARY = "O=Notary, L=London, C=GB"
SERVICE = "O=Notary Service, L=London, C=GB"
BANK, CAROL, DAVE, ERIN = (
    f"O={name}, L=London, C=GB" for name in ("Bank", "Carol", "Dave", "Erin")
)
TREASURY, FRANK, GRACE = (f"O={name}, L=London, C=GB" for name in ("Treasury", "Frank", "Grace"))
NETWORK = (*MEMBERS, NOTARY, BANK, CAROL, DAVE, ERIN, TREASURY, FRANK, GRACE)
"""Everybody in the group: CPIs of several CorDapps share its policy."""
MALLORY = "O=Mallory, L=London, C=GB"


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


def build_cordapp(console: DemoConsole, shell: CommandLine, workshop: Workshop) -> Path:
    """Build the IOU; returns the path of its CPB."""
    with console.step("Build the IOU CorDapp: two signed CPKs in a signed CPB") as record:
        cpb = build_sample(shell, workshop, "iou")
        record.facts["cpbBytes"] = cpb.stat().st_size
        return cpb


def build_sample(shell: CommandLine, workshop: Workshop, name: str, *, quiet: bool = False) -> Path:
    """Build a sample; returns the path of its CPB."""
    shell.cordbox(
        *("cordapp", "build", str(workshop.samples / name), *workshop.signing()),
        *("--output-dir", str(workshop.folder / name)),
        quiet=quiet,
    )
    return _only(workshop.folder / name, "*.cpb")


def build_notary(shell: CommandLine, workshop: Workshop) -> Path:
    """Build the notary that is shipped; returns the path of its CPB."""
    cpb = workshop.folder / "notary.cpb"
    shell.cordbox("notary", "create-cpb", "--file", str(cpb), *workshop.signing())
    return cpb


def package(console: DemoConsole, shell: CommandLine, workshop: Workshop, cpb: Path) -> str:
    """Write the policy, make the CPI, verify and inspect it; returns its file checksum."""
    with console.step("Write the group policy, make the CPI, verify and inspect it") as record:
        policy = write_policy(shell, workshop, name="network", members=NETWORK)
        cpi = make_cpi(shell, workshop, name="iou", cpb=cpb, policy=policy)
        make_cpi(shell, workshop, name="notary", cpb=build_notary(shell, workshop), policy=policy)
        trust = ("--certificate", str(workshop.certificate))
        shell.cordbox("package", "verify", str(cpi), "--type", "CPI", *trust)
        shell.cordbox("package", "inspect", str(cpi))
        facts = json.loads(
            shell.cordbox("package", "verify", str(cpi), *trust, "--output", "json", quiet=True)
        )
        if facts["valid"] is not True:
            raise StepFailedError(f"the CPI is not valid: {facts['errors']}")
        second = shell.jarsigner(
            *("-verify", "-strict", "-keystore", str(workshop.keystore)),
            *("-storepass", STORE_PASSWORD, "-storetype", "PKCS12", str(cpi), KEY_ALIAS),
        )
        if second is not None and "jar verified" not in second:
            raise StepFailedError("jarsigner did not verify the CPI")
        record.facts |= {
            "cpiBytes": cpi.stat().st_size,
            "cpiSignerSummaryHash": facts["cpiSignerSummaryHash"],
            "fileChecksum": facts["fileChecksum"],
            "jarsigner": second is not None,
        }
        return str(facts["fileChecksum"])


def write_policy(
    shell: CommandLine, workshop: Workshop, *, name: str, members: tuple[str, ...]
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


def make_cpi(
    shell: CommandLine,
    workshop: Workshop,
    *,
    name: str,
    cpb: Path,
    policy: Path,
    quiet: bool = False,
) -> Path:
    """The CPI of a CorDapp for a network."""
    shell.cordbox(
        *("package", "create-cpi", "--cpb", str(cpb), "--group-policy", str(policy)),
        *("--cpi-name", name, "--cpi-version", "1.0.0", "--file", str(workshop.cpi(name))),
        *workshop.signing(),
        quiet=quiet,
    )
    return workshop.cpi(name)


def package_sample(shell: CommandLine, workshop: Workshop, name: str) -> Path:
    """Build a sample, and make its CPI for the network of the IOU."""
    cpb = build_sample(shell, workshop, name, quiet=True)
    policy = workshop.policy("network")
    return make_cpi(shell, workshop, name=name, cpb=cpb, policy=policy, quiet=True)


def build_hostile(shell: CommandLine, workshop: Workshop) -> Path:
    """Build the hostile CorDapp and its CPI, for a network of its own."""
    cpb = build_sample(shell, workshop, "hostile", quiet=True)
    policy = write_policy(shell, workshop, name="hostile", members=(MALLORY,))
    return make_cpi(shell, workshop, name="hostile", cpb=cpb, policy=policy)


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise StepFailedError(f"{folder} holds {len(found)} files {pattern}, expected one")
    return found[0]
