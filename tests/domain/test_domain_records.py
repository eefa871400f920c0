"""Values that cross rooms: call time, names of processes, group parameters, pages, quotas, CPIs."""

import itertools
import math
from types import SimpleNamespace

import pytest

from host.domain.accounts import Account, Balance, QuotaExceededError, hit_of
from host.domain.call_time import (
    CallTooSlowError,
    call_time_paused,
    check_call_time,
    limited_call,
)
from host.domain.errors import NotFoundError, StorageError
from host.domain.flow import FLOW_FAILED, specific_code, stable_code
from host.domain.group_members import MemberName
from host.domain.group_parameters import (
    BYTES_MAX,
    GroupParametersInvalidError,
    SignedGroupParameters,
    group_parameters_hash,
    group_parameters_json,
    read_group_parameters,
    realm_of,
    signed_bytes,
)
from host.domain.guest_text import RuleError, checked_json, is_json
from host.domain.ids import EpochMs, ShortHash
from host.domain.instants import instant_micros
from host.domain.json import canonical_json
from host.domain.json_schema import (
    JsonSchema,
    Misfit,
    checked_schema,
    limited_schema_work,
)
from host.domain.membership import GroupParameters, MemberInfo, MemberStatus, NotaryInfo
from host.domain.order_keys import NoKeyError, OrderKind, order_key
from host.domain.packages import CodeWorld, CpiRecord, StateInVault, contracts_of
from host.domain.paging import CURSOR_CHARACTERS_MAX, Cursor, CursorInvalidError, parse_cursor
from host.domain.quotas import DEFAULT_QUOTA, QuotaInvalidError, check_quota, quota_meaning
from host.domain.workers import WorkerPlan
from host.domain.x500 import MemberX500Name
from tests.services.support import cpi

ALICE = MemberX500Name.parse("O=Alice, L=London, C=GB")


class Seconds:
    """CPU seconds of a thread, set by the test."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_call_that_works_for_too_long_is_refused():
    seconds = Seconds()
    with limited_call(seconds, seconds_max=2):
        seconds.now = 2.0
        check_call_time()
        seconds.now = 2.1
        with pytest.raises(CallTooSlowError, match="more than 2 seconds") as refused:
            check_call_time()
        assert refused.value.code == "host-call-too-slow"
    check_call_time()


def test_what_has_a_limit_of_its_own_is_left_out_of_a_calls_time():
    seconds = Seconds()
    with limited_call(seconds, seconds_max=2):
        with call_time_paused():
            seconds.now = 100.0
        seconds.now = 102.0
        check_call_time()
    with call_time_paused():
        check_call_time()


def test_an_absent_object_is_named_by_its_kind():
    assert NotFoundError("none", kind="key", named="k1", more="x").details == {
        "kind": "key",
        "id": "k1",
        "more": "x",
    }
    assert NotFoundError("none").details == {}


def test_the_name_of_a_process_is_read_back():
    name = MemberName(host="a-host", worker="flow-0", pid=17, run="f00d")
    assert MemberName.parse(str(name)) == name
    for text in ("", "pool", "a.b.c.d", "a.b.1", "a.b.1.c.d", "a..1.c", "a.b.-1.c"):
        assert MemberName.parse(text) is None


PARAMETERS = GroupParameters(
    group_id="g",
    epoch=2,
    modified_at=EpochMs(1_764_000_000_007),
    minimum_platform_version=50_200,
    notaries=(
        NotaryInfo(
            name=MemberX500Name.parse("O=Notary, L=London, C=GB"),
            protocol="p",
            protocol_versions=(1, 2),
            public_key="pem",
            backchain_required=True,
        ),
    ),
    custom=(("ext.a", "b"),),
)
CONTENT = canonical_json(group_parameters_json(PARAMETERS))


def test_group_parameters_are_read_from_the_one_form_that_is_signed():
    signed = SignedGroupParameters(
        content=CONTENT, signature=b"s", signer_key="k", spec="SHA256withECDSA", at=EpochMs(1)
    )
    assert signed.parameters == PARAMETERS
    assert signed.hash == group_parameters_hash(PARAMETERS)
    assert signed_bytes(CONTENT).endswith(b"cordbox/v1/group-parameters\0" + CONTENT)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b" " * (BYTES_MAX + 1), "at most 262144"),
        (b"[", "malformed"),
        (CONTENT.replace(b'"epoch":2', b'"epoch":0'), "epoch 0 is none"),
        (CONTENT.replace(b"O=Notary", b"O="), "malformed"),
        (CONTENT.replace(b'"epoch"', b' "epoch"'), "not in canonical form"),
        (CONTENT.replace(b'"epoch"', b'"more":1,"epoch"'), "malformed"),
    ],
)
def test_other_bytes_are_no_group_parameters(content, words):
    with pytest.raises(GroupParametersInvalidError, match=words):
        read_group_parameters(content)


def test_a_realm_depends_on_the_group_and_on_its_mgm():
    assert len({realm_of(*pair) for pair in itertools.product("ab", "kl")}) == 4
    assert len(realm_of("a", "k")) == 64


def test_guests_texts_have_no_infinite_numbers_and_no_key_twice():
    assert checked_json('{"a":1e300}') == {"a": 1e300}
    for text, words in (("1e999", "not finite"), ('{"a":1,"b":2,"a":3}', "key 'a' twice")):
        with pytest.raises(RuleError, match=words):
            checked_json(text)
    assert not is_json(f"1{'-1' * 100}")


def test_an_instant_has_microseconds():
    assert instant_micros("1970-01-01T00:00:01.000002Z") == 1_000_002
    with pytest.raises(ValueError, match="no instant"):
        instant_micros("1970-01-01")


def test_equal_schemas_are_checked_once():
    with limited_schema_work():
        assert checked_schema({"type": "string"}) is checked_schema({"type": "string"})


@pytest.mark.parametrize(
    ("schema", "good", "bad", "words"),
    [
        ({"pattern": "^[0-9]+$", "format": "integer"}, "12", "x", "not of type 'integer'"),
        ({"pattern": "^[0-9.]+$", "format": "decimal"}, "1.5", "x", "is no decimal"),
        ({"format": "integer", "formatMinimum": "9"}, "10", "8", "not at least 9"),
        ({"format": "decimal", "formatMaximum": "9.5"}, "9.50", "9.51", "not at most 9.5"),
        (
            {"format": "date", "formatExclusiveMinimum": "2025-01-31"},
            "2025-02-01",
            "2025-01-31",
            "not more than",
        ),
        (
            {"format": "date", "formatExclusiveMaximum": "2025-01-31"},
            "2025-01-30",
            "2025-01-31",
            "not less than",
        ),
        ({"patternProperties": {"^a": {"type": "string"}}}, [1], {"ab": 1}, "type 'string'"),
    ],
)
def test_formats_limit_texts(schema, good, bad, words):
    checked = JsonSchema(schema)
    assert checked.misfit(good) is None
    misfit = checked.misfit(bad)
    assert isinstance(misfit, Misfit)
    assert words in misfit.message


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"format": "integer", "formatMinimum": "9"}, "no number"),
        ({"format": "integer", "formatMinimum": "9"}, 8),
        ({"format": "of-others", "formatMinimum": "9"}, "8"),
        ({"format": "integer", "formatMinimum": 9}, "8"),
    ],
)
def test_a_limit_that_does_not_apply_is_met(schema, value):
    assert JsonSchema(schema).misfit(value) is None


def test_what_is_not_finite_has_no_order():
    for value in (math.inf, -math.inf, math.nan):
        with pytest.raises(NoKeyError):
            order_key(OrderKind.NUMBER, value)


def test_guests_see_a_members_facts():
    member = MemberInfo(
        name=ALICE,
        group_id="g",
        status=MemberStatus.ACTIVE,
        ledger_keys=("pem",),
        platform_version=50_200,
        serial=1,
        member_context=(("a", "b"),),
        mgm_context=(("c", "d"),),
    )
    assert member.to_json() == {
        "name": str(ALICE),
        "status": "ACTIVE",
        "ledgerKeys": ["pem"],
        "platformVersion": 50_200,
        "serial": 1,
        "memberContext": {"a": "b"},
        "mgmContext": {"c": "d"},
    }


def test_a_cursor_is_read_back_for_its_own_list():
    cursor = Cursor(order="flows", last=(5, "key"), snapshot=EpochMs(9))
    assert parse_cursor(cursor.encoded(), "flows") == cursor
    with pytest.raises(CursorInvalidError, match="not one of the list 'nodes'"):
        parse_cursor(cursor.encoded(), "nodes")
    for text in ("é", "bm8", "WzFd", "A" * (CURSOR_CHARACTERS_MAX + 1)):
        with pytest.raises(CursorInvalidError):
            parse_cursor(text, "flows")
    for last, snapshot in (((True, "k"), 1), ((1, 2), 1), ((1, "k"), "x"), ((1 << 63, "k"), 1)):
        damaged = Cursor(order="flows", last=last, snapshot=snapshot)
        with pytest.raises(CursorInvalidError, match="damaged"):
            parse_cursor(damaged.encoded(), "flows")


def test_a_quota_is_overridden_by_name():
    changed = DEFAULT_QUOTA.with_overrides({"bus_bytes_max": 10_000_000})
    assert changed.account_max(Account.BUS) == 10_000_000
    assert DEFAULT_QUOTA.account_max(Account.BUS) != 10_000_000
    with pytest.raises(QuotaInvalidError, match="'bytes_max' is none of"):
        DEFAULT_QUOTA.with_overrides({"bytes_max": 1})
    assert quota_meaning("bus_bytes_max")


def test_a_cpi_has_contract_and_workflow_cpks():
    contract, workflow = (
        SimpleNamespace(world=world, flows=()) for world in (CodeWorld.CONTRACT, CodeWorld.WORKFLOW)
    )
    cpi = CpiRecord(
        identity=None,  # type: ignore[arg-type]
        file_checksum=None,  # type: ignore[arg-type]
        group_id="g",
        group_policy="{}",
        cpks=(workflow, contract),  # type: ignore[arg-type]
        stored_at=EpochMs(1),
    )
    assert [found.cpk for found in contracts_of(cpi)] == [contract]
    assert cpi.workflow_cpks() == (workflow,)
    assert cpi.startable_flows() == ()
    assert StateInVault(state="s", token=True).has_functions
    assert not StateInVault(state="s", indexes=(("a",),)).has_functions


def test_balances_are_added_and_subtracted_by_their_parts():
    one, two = Balance(bytes=5, rows=2, lasting=1), Balance(bytes=3, rows=1)
    assert one + two == Balance(bytes=8, rows=3, lasting=1)
    assert one - two == Balance(bytes=2, rows=1, lasting=1)
    refused = QuotaExceededError.of(ShortHash("A" * 12), Account.BUS, held=5, more=3, most=7)
    assert "would hold 8 bytes, at most 7" in refused.message
    assert refused.details == {"account": "bus"}
    assert hit_of(Account.BUS) == "quota-exceeded:bus"


def test_tenants_see_no_directories_of_the_host():
    failed = StorageError("/data/x/flows.sqlite: full", path="/data/x/flows.sqlite")
    assert failed.public_message == "flows.sqlite: full"
    assert StorageError("full").public_message == "full"


def test_a_code_says_more_than_that_flow_code_failed():
    assert stable_code("a-code:1") == "a-code:1"
    assert [stable_code(value) for value in ("", "a b", "x" * 101, 1, None)] == [None] * 5
    assert specific_code("a-code") == "a-code"
    assert specific_code(FLOW_FAILED) is None


def test_a_quota_outside_its_range_is_named_as_it_was_written():
    for value in (0, -1, 1.5, "1", True, 2**60):
        with pytest.raises(QuotaInvalidError, match="quota fuelMax is"):
            check_quota("fuel_max", value, shown_as="fuelMax")
    check_quota("fuel_max", 100_000_000)


def test_a_plan_of_one_process_is_combined():
    assert WorkerPlan.parse("combined", flow_count=2).is_combined
    assert not WorkerPlan.parse("flow", flow_count=2).is_combined


def test_a_flow_class_that_no_cpk_declares_has_no_capabilities():
    assert cpi().flow_cpk("iou.Flow") is None
    assert cpi().capabilities_of("iou.Flow") == frozenset()
