"""The ledger, claims on tokens and notaries answer on PostgreSQL as on SQLite: the same tests, on schemas of nodes there.

They are those of `tests/services` and `tests/ledger`, without those that look at SQLite's plans and files, and without
those whose statements an earlier one has tried.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import pytest
from sqlalchemy import Table, func, select

from host.domain.clock import SimClock
from host.domain.ids import ShortHash
from host.keys import SCHEMA as KEYS
from host.keys import SoftKeyStore
from host.ledger.notary.tables import SCHEMA as SPENT
from host.ledger.vault.tables import SCHEMA as LEDGER
from host.vault.idempotency import REQUESTS
from plugins.postgres.connections import Access
from plugins.postgres.database import PostgresDatabase
from plugins.postgres.functions import make_functions
from plugins.postgres.vaults import UNIQUENESS, VAULT, NodeSchemas
from tests.ledger.test_ledger_races import (  # noqa: F401  # run here too
    test_around_a_windows_end_what_is_in_time_is_taken_and_nothing_else,
    test_one_of_two_threads_spends_a_state_and_the_answers_stay,
)
from tests.ledger.test_ledger_uniqueness import (  # noqa: F401  # run here too
    clock,
    service,
    test_a_batch_that_fails_fails_for_all_and_stores_nothing,
    test_a_failure_of_one_notary_is_not_anothers,
    test_a_stopped_leader_hands_over,
    test_an_output_costs_no_row_until_it_is_spent,
    test_every_kind_of_refusal_is_kept,
    test_more_states_than_one_statement_takes,
    test_notaries_share_nothing,
    test_results_survive_the_process,
    test_waiting_requests_share_a_commit,
)
from tests.ledger.test_ledger_vault import (  # noqa: F401  # run here too
    test_a_representation_is_kept_beside_the_state,
    test_an_output_that_is_spent_before_its_transaction_is_known_is_consumed,
    test_lists_have_the_statuses_that_are_asked_for,
    test_parties_and_verifications_belong_to_a_transaction_and_stay_as_first_stored,
    test_signatures_are_added_by_key_in_their_order_and_never_replaced,
    test_states_of_filtered_transactions_are_found_until_the_whole_one_is_there,
    test_two_verified_transactions_never_consume_one_state_and_the_second_is_an_alarm,
    test_unconsumed_states_are_paged_by_their_place_however_many_are_consumed,
    test_verified_is_stored_by_finish_only_and_invalid_needs_a_reason,
    test_without_a_notary_the_second_spender_is_refused_without_alarm,
)
from tests.postgres.made_nodes import EveryNode
from tests.services.ledger_support import Net
from tests.services.support import NOW, CountingEntropy, MemoryMasterKeys
from tests.services.test_ledger import (  # noqa: F401  # run here too
    test_a_reference_must_be_unconsumed,
    test_a_state_is_consumed_once,
    test_encumbered_states_are_spent_together,
    test_issue_agree_record_and_settle,
    test_only_outputs_of_own_participants_are_visible,
    test_queries_page_oldest_first,
    test_recording_twice_is_a_no_op_with_the_same_answer,
    test_the_same_call_made_twice_at_once_is_done_once,
    test_two_threads_that_spend_one_state_agree_on_one_winner,
)
from tests.services.test_ledger_tokens import (  # noqa: F401  # run here too
    ledger,
    test_a_claim_ends_with_its_flow,
    test_a_claim_ends_with_its_time,
    test_a_claim_that_is_not_met_takes_nothing,
    test_a_token_that_is_consumed_leaves_its_pool_and_its_claim,
    test_claims_begin_at_different_places,
    test_pools_are_of_one_type_issuer_notary_and_symbol,
    test_the_same_call_has_the_same_answer,
    test_tokens_are_chosen_by_tag_and_owner,
    test_tokens_are_claimed_until_the_amount_is_reached,
    test_tokens_go_by_priority_those_without_one_last,
)
from tests.support.postgres import opened_database

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def access(postgres_server: object) -> Access:
    made: Access = postgres_server.new_database()  # type: ignore[attr-defined]
    make_functions(made)
    return made


@pytest.fixture
def keys(access: Access) -> Iterator[SoftKeyStore]:
    with opened_database(access, [KEYS], name=f"keys_{next(_NUMBERS)}") as database:
        yield SoftKeyStore(
            database, masters=MemoryMasterKeys(), clock=SimClock(NOW), entropy=CountingEntropy()
        )


@pytest.fixture
def net(access: Access, keys: SoftKeyStore) -> Iterator[Net]:
    vaults = NodeSchemas(
        replace(VAULT, prefix=f"vault{next(_NUMBERS)}"),
        access,
        [REQUESTS, LEDGER],
        register=EveryNode(),
        bytes_max_of=lambda _node: 10**9,
    )
    yield Net(vaults, keys)
    vaults.close()


@pytest.fixture
def vault(access: Access) -> Iterator[PostgresDatabase]:
    with opened_database(access, [LEDGER], name=f"ledger_{next(_NUMBERS)}") as database:
        yield database


class SpentStates:
    """The databases of notaries, and what a test does before a transaction."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._kind = replace(UNIQUENESS, prefix=f"uniqueness{next(_NUMBERS)}")
        self._register = EveryNode()
        self._nodes = self._opened()
        self.commits = 0
        self.before: Callable[[ShortHash], object] = lambda _node: None

    def transact(self, node: ShortHash, work: Callable[..., object]) -> object:
        self.before(node)
        self.commits += 1
        return self._nodes.transact(node, work)

    def rows(self, node: ShortHash, table: Table) -> int:
        with self._nodes.read(node) as connection:
            found: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
        return found

    def close(self) -> None:
        """End the process, so to say; the next call is of another one."""
        self._nodes.close()
        self._nodes = self._opened()

    def _opened(self) -> NodeSchemas:
        return NodeSchemas(
            self._kind,
            self._access,
            [SPENT],
            register=self._register,
            bytes_max_of=lambda _node: 10**9,
        )


@pytest.fixture
def databases(access: Access) -> Iterator[SpentStates]:
    made = SpentStates(access)
    yield made
    made.close()
