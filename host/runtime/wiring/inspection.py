"""Files of single nodes that are missing when a host starts: reported at once, refused when used.

Files that the whole cluster needs are checked earlier (`host.adapters.files.identity`). A missing
vault of a node or a missing package does not affect other nodes, so the host starts.
"""

import structlog

from host.adapters.sqlite.errors import VaultEmptyError, VaultMissingError
from host.domain.errors import HostError
from host.domain.ids import ShortHash
from host.nodes.audit_log.segments import LOG_NAME
from host.nodes.vnode.name_forms import warn_of_other_forms
from host.runtime.wiring.parts import Wiring

_log = structlog.get_logger("cordbox.host")


def name_what_is_missing(parts: Wiring) -> None:
    """Log, and keep for `/status`, which nodes' vaults and which packages are missing."""
    warn_of_other_forms(parts.database)
    known = {problem.short_hash for problem in parts.made_vaults.problems()}
    for node in parts.made_vaults.made():
        problem = _vault_problem(parts, node)
        if problem is not None:
            _log.error("vault-unusable", holding_id=node, code=problem.code, reason=problem.message)
        if problem is not None or node in known:
            # A vault that was refused for its content is refused again at its next use.
            parts.made_vaults.note_problem(node, problem)
    for node in parts.made_vaults.audited():
        log = parts.base.directory.virtual_nodes / node / LOG_NAME
        if not log.exists() or not log.stat().st_size:
            # The next entry of the log reports it permanently.
            _log.error("audit-log-missing", holding_id=node, path=str(log))
    for stored in parts.catalogue.missing():
        name = f"{stored.identity.name} {stored.identity.version}"
        _log.error("package-missing", cpi=name, checksum=stored.file_checksum)


def _vault_problem(parts: Wiring, node: ShortHash) -> HostError | None:
    path = parts.base.directory.virtual_nodes / node / "vault.sqlite"
    try:
        size = path.stat().st_size
    except OSError:
        return VaultMissingError(
            f"the vault of virtual node {node} is gone: there is no {path}", path=str(path)
        )
    if size == 0:
        return VaultEmptyError(
            f"the vault of virtual node {node} is empty: {path} has 0 bytes", path=str(path)
        )
    return None
