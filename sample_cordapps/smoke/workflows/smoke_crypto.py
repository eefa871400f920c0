"""Signatures, digests and their names."""

from cordapp.contracts import PublicKey
from cordapp.flows import Flow

_DATA = b"smoke"


def sign_and_verify(flow: Flow) -> str:
    key, spec = _ledger_key(flow), "SHA256withECDSA"
    signature = flow.signing_service.sign(_DATA, key, spec)
    verified = flow.signature_verification_service.verify(_DATA, signature, key, spec)
    return str(verified).lower()


def verify_invalid_signature(flow: Flow) -> str:
    """`true` if a signature of other data is refused."""
    key, spec = _ledger_key(flow), "SHA256withECDSA"
    signature = flow.signing_service.sign(b"other", key, spec)
    verified = flow.signature_verification_service.verify(_DATA, signature, key, spec)
    return str(not verified).lower()


def find_my_signing_keys(flow: Flow) -> str:
    mine = _ledger_key(flow)
    others = [k for m in flow.member_lookup.all() for k in m.ledger_keys if k != mine]
    found = flow.signing_service.find_my_signing_keys([mine, *others])
    return "success" if found == [mine] and others else f"found {len(found)} keys"


def default_signature_spec(flow: Flow, data: dict[str, str]) -> str:
    return str(flow.signature_spec_service.default_spec(_ledger_key(flow), data.get("digest")))


def compatible_signature_specs(flow: Flow, data: dict[str, str]) -> str:
    specs = flow.signature_spec_service.compatible_specs(_ledger_key(flow), data.get("digest"))
    return "; ".join(specs)


def default_digest_algorithm(flow: Flow) -> str:
    algorithm = flow.digest_service.default_digest_algorithm()
    return algorithm if flow.digest_service.hash(_DATA).startswith(f"{algorithm}:") else "FAILURE"


def supported_digest_algorithms(flow: Flow) -> str:
    """Every name that is said to be supported gives a digest of its own."""
    names = flow.digest_service.supported_digest_algorithms()
    digests = {flow.digest_service.hash(_DATA, name) for name in names}
    return "; ".join(names) if len(digests) == len(names) else "FAILURE"


def _ledger_key(flow: Flow) -> PublicKey:
    return flow.member_lookup.my_info().ledger_keys[0]
