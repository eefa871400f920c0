"""What the code of a stored CPI may do, and what changed since another one. Corda has no such."""

from host.domain.ids import short_hash_of
from host.domain.packages import CodeWorld, CpiRecord
from host.guests.limits import limits_of_quota
from host.guests.package_facts import CpkFacts, FactKind, compared, cpk_facts, flow_text
from host.guests.walls import Door
from host.rest.operation import resource
from host.rest.parameters import CpiShortHash, CpiShortHashQuery
from host.rest.services import Services
from host.rest.wire import wire
from sandbox.limits import Limits

router = resource("CPI")


@wire
class GuestImport:
    """A function that the world offers. `reaches`: who outside the node receives what is sent."""

    interface: str
    function: str
    door: Door
    reaches: str | None


@wire
class GuestLimit:
    """A limit of a run: what the descriptor asks for, what the host allows, and the smaller one."""

    name: str
    asked: int | None
    host: int
    effective: int


@wire
class CpkAudit:
    """What the code of a CPK may do. `leaves`: what can leave the node, a sentence each."""

    name: str
    version: str
    world: CodeWorld
    code_digest: str
    imports: list[GuestImport]
    limits: list[GuestLimit]
    flows: list[str]
    contracts: list[str]
    states: list[str]
    entities: list[str]
    queries: list[str]
    leaves: list[str]


@wire
class PackageChange:
    """A fact that differs, null where a version lacks it. `widens`: the code may do more by it."""

    cpk: str | None
    kind: FactKind
    name: str
    before: str | None
    after: str | None
    widens: bool


@wire
class PackageComparison:
    """What changed since the CPI `against`, widening changes first, of how many facts."""

    against: str
    compared: int
    widening: int
    changes: list[PackageChange]


@wire
class CpiAudit:
    cpi_file_checksum: str
    cpks: list[CpkAudit]
    comparison: PackageComparison | None


@router.get("/cpi/{cpifilechecksum}/audit")
def get_cpi_audit(
    cpifilechecksum: CpiShortHash, services: Services, against: CpiShortHashQuery = None
) -> CpiAudit:
    """Tell what the code of a CPI may do, and what changed since the CPI `against`.

    Limits are those of nodes without quotas of their own.
    """
    cpi = services.cpi(cpifilechecksum)
    other = None if against is None else services.cpi(against)
    allowed = limits_of_quota(services.quotas.defaults)
    return CpiAudit(
        cpi_file_checksum=cpifilechecksum,
        cpks=[_cpk(cpk_facts(cpk, allowed)) for cpk in cpi.cpks],
        comparison=None if other is None else _comparison(other, cpi, allowed),
    )


def _cpk(found: CpkFacts) -> CpkAudit:
    cpk = found.cpk
    return CpkAudit(
        name=cpk.identity.name,
        version=cpk.identity.version,
        world=cpk.world,
        code_digest=cpk.code_digest,
        imports=[
            GuestImport(interface=f.interface, function=f.function, door=f.door, reaches=f.reaches)
            for f in found.imports
        ],
        limits=[
            GuestLimit(name=each.name, asked=each.asked, host=each.host, effective=each.effective)
            for each in found.limits
        ],
        flows=[f"{flow.name} ({flow_text(flow)})" for flow in cpk.flows],
        contracts=list(cpk.contract_types),
        states=[state for state, _ in cpk.state_types],
        entities=[entity.name for entity in cpk.entities],
        queries=[query.name for query in cpk.queries],
        leaves=list(found.leaves),
    )


def _comparison(before: CpiRecord, after: CpiRecord, allowed: Limits) -> PackageComparison:
    found = compared(before, after, allowed)
    return PackageComparison(
        against=short_hash_of(before.file_checksum),
        compared=found.compared,
        widening=sum(change.widens for change in found.changes),
        changes=[
            PackageChange(
                cpk=each.cpk,
                kind=each.kind,
                name=each.name,
                before=each.before,
                after=each.after,
                widens=each.widens,
            )
            for each in found.changes
        ],
    )
