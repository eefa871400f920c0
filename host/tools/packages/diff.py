"""The differences between two packages in content, not in the layout of their bytes."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cpi.digests import hash_text
from cpi.package.model import Signer, VerifiedCpk, VerifiedPackage

AREAS = (
    "identity",
    "signers",
    "cpks",
    "dependencies",
    "entries",
    "flows",
    "declarations",
    "capabilities",
    "code",
    "policy",
)
"""The areas in which packages can differ, in the order of the output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference; None on a side means that the item is missing there.

    Attributes:
        area: one of `AREAS`.
        path: what differs, such as `iou-contracts/entries/wasm/descriptor.json`.
        left, right: the two values as text.
    """

    area: str
    path: str
    left: str | None
    right: str | None


def differences(left: VerifiedPackage, right: VerifiedPackage) -> tuple[Difference, ...]:
    """All differences between two packages; empty if their content is equal.

    CPKs are compared by their names. Packages with different bytes (another layout, another
    signature by the same certificate) may have equal content.

    Raises:
        CpiError: a package changed on disk since it was verified.
    """
    found = [
        *_compared("identity", "", _package_identity(left), _package_identity(right)),
        *_compared("signers", "", _signers(left.signers), _signers(right.signers)),
        *_cpk_differences(left.cpks, right.cpks),
        *_compared("policy", "", _policy(left.group_policy), _policy(right.group_policy)),
    ]
    return tuple(sorted(found, key=lambda d: AREAS.index(d.area)))


def _cpk_differences(
    left: Sequence[VerifiedCpk], right: Sequence[VerifiedCpk]
) -> Iterator[Difference]:
    mine = {cpk.id.name: cpk for cpk in left}
    theirs = {cpk.id.name: cpk for cpk in right}
    yield from _compared("cpks", "", _names(mine), _names(theirs))
    for name, cpk in mine.items():
        if name in theirs:
            for area, facts in _CPK_FACTS.items():
                yield from _compared(area, f"{name}/", facts(cpk), facts(theirs[name]))


def _names(cpks: Mapping[str, VerifiedCpk]) -> dict[str, str]:
    return {name: f"{cpk.world_type} CPK {cpk.id.version}" for name, cpk in cpks.items()}


def _compared(
    area: str, where: str, left: Mapping[str, str], right: Mapping[str, str]
) -> Iterator[Difference]:
    for key in dict.fromkeys((*left, *right)):
        if left.get(key) != right.get(key):
            yield Difference(
                area=area, path=f"{where}{key}", left=left.get(key), right=right.get(key)
            )


def _package_identity(package: VerifiedPackage) -> dict[str, str]:
    facts = {"type": str(package.type)}
    if package.id is not None:
        facts |= {
            "name": package.id.name,
            "version": package.id.version,
            "signer summary hash": package.id.signer_summary_hash,
        }
    return facts


def _signers(signers: Iterable[Signer]) -> dict[str, str]:
    """Signers by subject, as a fingerprint of the certificate that signed."""
    facts: dict[str, str] = {}
    for signer in signers:
        digest = hashlib.sha256(signer.chain[0].der).digest()
        text = f"{hash_text(digest)} ({signer.key}, chain of {len(signer.chain)})"
        facts[signer.subject] = ", ".join(filter(None, (facts.get(signer.subject), text)))
    return facts


def _cpk_identity(cpk: VerifiedCpk) -> dict[str, str]:
    attributes = {f"manifest {name}": value for name, value in cpk.attributes.items()}
    return {
        "file name": cpk.file_name,
        "version": cpk.id.version,
        "kind": cpk.world_type,
        "signer summary hash": cpk.id.signer_summary_hash,
        **attributes,
    }


def _cpk_entries(cpk: VerifiedCpk) -> dict[str, str]:
    return {
        f"entries/{name}": f"{hash_text(cpk.entries.digest(name))}, {cpk.entries.size(name)} bytes"
        for name in cpk.entries
    }


def _flows(cpk: VerifiedCpk) -> dict[str, str]:
    return _declared(cpk.descriptor.flows if cpk.descriptor else (), "flow")


def _declarations(cpk: VerifiedCpk) -> dict[str, str]:
    descriptor = cpk.descriptor
    if descriptor is None:
        return {}
    return {
        **_declared(descriptor.contracts, "contract"),
        **_declared(descriptor.states, "state"),
        **_declared(descriptor.commands, "command"),
        **_declared(descriptor.entities, "entity"),
        **_declared(descriptor.queries, "query"),
    }


def _declared(declarations: Sequence[Mapping[str, Any]], kind: str) -> dict[str, str]:
    return {
        f"{kind} {item.get('name', number)}": _text(item)
        for number, item in enumerate(declarations)
    }


def _capabilities(cpk: VerifiedCpk) -> dict[str, str]:
    return dict.fromkeys(cpk.descriptor.capabilities if cpk.descriptor else (), "asked for")


def _code(cpk: VerifiedCpk) -> dict[str, str]:
    descriptor = cpk.descriptor
    if descriptor is None:
        return {}
    facts = {
        "world": f"{descriptor.world} {descriptor.world_version}",
        "form": descriptor.form,
        "runtime": descriptor.runtime,
        "source digest": descriptor.source_digest,
        ("image digest" if descriptor.form == "python" else "component digest"): (
            descriptor.code_digest
        ),
        **{f"limit {name}": str(value) for name, value in descriptor.limits.items()},
        **{f"toolchain {name}": value for name, value in descriptor.toolchain.items()},
    }
    return {name: value for name, value in facts.items() if value is not None}


def _policy(text: str | None) -> dict[str, str]:
    return dict(_flattened(json.loads(text), "$")) if text is not None else {}


def _flattened(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Each leaf of a JSON document by its path."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _flattened(item, f"{path}.{name}")
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _flattened(item, f"{path}[{index}]")
    else:
        yield path, _text(value)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


_CPK_FACTS: Mapping[str, Callable[[VerifiedCpk], dict[str, str]]] = {
    "identity": _cpk_identity,
    "signers": lambda cpk: _signers(cpk.signers),
    "dependencies": lambda cpk: {str(d): "needed" for d in cpk.dependencies},
    "entries": _cpk_entries,
    "flows": _flows,
    "declarations": _declarations,
    "capabilities": _capabilities,
    "code": _code,
}
