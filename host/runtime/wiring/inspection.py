"""Files of single nodes that are missing when a host starts: reported at once, refused when used.

Files that the whole cluster needs are checked earlier (`host.adapters.files.identity`). A missing
database of a node or a missing package does not affect other nodes, so the host starts.
"""

from collections.abc import Iterator

import structlog

from host.adapters.sqlite.node_files import UNIQUENESS, VAULT, NodeFile
from host.domain.errors import HostError
from host.domain.ids import ShortHash
from host.nodes.audit_log.segments import LOG_NAME
from host.nodes.vnode.name_forms import warn_of_other_forms
from host.ports.vaults import VaultRegister
from host.runtime.wiring.parts import Wiring

_log = structlog.get_logger("cordbox.host")


def name_what_is_missing(parts: Wiring) -> None:
    """Log, and keep for `/status`, which nodes' databases and which packages are missing."""
    warn_of_other_forms(parts.database)
    if parts.base.settings.database_url is None:
        _name_unusable_files(parts)
    for node in parts.made_vaults.audited():
        log = parts.base.directory.virtual_nodes / node / LOG_NAME
        if not log.exists() or not log.stat().st_size:
            # The next entry of the log reports it permanently.
            _log.error("audit-log-missing", holding_id=node, path=str(log))
    for stored in parts.catalogue.missing():
        name = f"{stored.identity.name} {stored.identity.version}"
        _log.error("package-missing", cpi=name, checksum=stored.file_checksum)


def _name_unusable_files(parts: Wiring) -> None:
    for node, problem in _unusable(parts, VAULT, parts.made_vaults):
        _log.error("vault-unusable", holding_id=node, code=problem.code, reason=problem.message)
    for node, problem in _unusable(parts, UNIQUENESS, parts.made_notaries):
        _log.error(
            "uniqueness-unusable", holding_id=node, code=problem.code, reason=problem.message
        )


def _unusable(
    parts: Wiring, file: NodeFile, register: VaultRegister
) -> Iterator[tuple[ShortHash, HostError]]:
    """Note which nodes' files of one kind are missing or empty; yields these."""
    known = {problem.short_hash for problem in register.problems()}
    for node in register.made():
        problem = _problem(parts, file, node)
        if problem is not None:
            yield node, problem
        if problem is not None or node in known:
            # A file that was refused for its content is refused again at its next use.
            register.note_problem(node, problem)


def _problem(parts: Wiring, file: NodeFile, node: ShortHash) -> HostError | None:
    path = parts.base.directory.virtual_nodes / node / file.name
    whose = f"the {file.called} of virtual node {node}"
    try:
        size = path.stat().st_size
    except OSError:
        return file.missing(f"{whose} is gone: there is no {path}", path=str(path))
    if size == 0:
        return file.empty(f"{whose} is empty: {path} has 0 bytes", path=str(path))
    return file.unconfirmed(path.parent)
