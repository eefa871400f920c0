"""Steps 1 to 4 of a verification, which every archive of a package passes by itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cpi.archive.reading import read_archive
from cpi.archive.sources import Source
from cpi.crypto.certificate import Certificate
from cpi.crypto.timestamps import CLOCKS_APART_MAX, Timestamp
from cpi.crypto.trust import check_may_sign, validate_path
from cpi.errors import Code, Issue, SignatureError
from cpi.jar.signatures import JarSigner, Role, SignedJar, read_manifest, role_of, verify_jar
from cpi.jar.signer_warnings import signer_warnings
from cpi.limits import ArchiveLimits, Budget

_PARSED = frozenset({Role.MANIFEST, Role.SIGNATURE_FILE, Role.BLOCK})


@dataclass(kw_only=True)
class Run:
    """One verification: its parameters, and the findings so far."""

    anchors: Sequence[Certificate] | None
    at: datetime
    limits: ArchiveLimits
    budget: Budget
    issues: list[Issue] = field(default_factory=list)
    warnings: list[Issue] = field(default_factory=list)

    def nested(self) -> "Run":
        return Run(anchors=self.anchors, at=self.at, limits=self.limits, budget=self.budget)

    def take(self, inner: "Run", container: str) -> None:
        self.issues += [issue.below(container) for issue in inner.issues]
        self.warnings += [warning.below(container) for warning in inner.warnings]

    def refuse(self, code: Code, message: str, entry: str | None = None) -> None:
        self.issues.append(Issue(code=code, message=message, entry=entry))


def open_jar(source: Source, run: Run) -> SignedJar:
    """Archive, manifest, signatures, trust.

    Raises:
        CpiError: with the first thing that is wrong.
    """
    archive = read_archive(source, limits=run.limits, budget=run.budget)
    run.budget.spend_text(sum(e.size for e in archive.entries if role_of(e.name) in _PARSED))
    jar = verify_jar(archive, read_manifest(archive, run.limits), run.limits)
    for signer in jar.signers:
        _check_trust(signer, run)
    run.warnings += jar.warnings
    if archive.trailing_bytes:
        run.warnings.append(
            Issue(
                code=Code.ARCHIVE_TRAILING,
                message=f"{archive.trailing_bytes} bytes behind the end record are ignored",
            )
        )
    return jar


def _check_not_later(timestamp: Timestamp, at: datetime, name: str) -> None:
    """Refuse a timestamp of the future: it would judge the signer by a time that has not come."""
    if timestamp.time - at > CLOCKS_APART_MAX:
        raise SignatureError(
            Code.TIMESTAMP_INVALID,
            f"timestamp of {name} states {timestamp.time:%Y-%m-%dT%H:%M:%SZ}, which is later than"
            f" {at:%Y-%m-%dT%H:%M:%SZ}",
            entry=name,
        )


def _check_trust(signer: JarSigner, run: Run) -> None:
    leaf, timestamp = signer.block.chain[0], signer.timestamp
    check_may_sign(leaf)
    if run.anchors is not None:
        if timestamp is not None:
            _check_not_later(timestamp, run.at, signer.name)
            validate_path(timestamp.chain, run.anchors, at=timestamp.time, whose="TSA")
        validate_path(signer.block.chain, run.anchors, at=timestamp.time if timestamp else run.at)
    run.warnings += signer_warnings(
        signer.block.chain, has_timestamp=timestamp is not None, at=run.at
    )
