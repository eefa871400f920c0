"""Named queries: what the SDK writes of them, and what is asked when one is run."""

import json
from dataclasses import dataclass

import pytest

from cordapp.errors import HostApi
from cordapp.flows import entity, entity_field, named_query, parameter
from cordapp.persistence import PersistenceService

AGE, LIMIT = entity_field("age"), parameter("limit")


@pytest.mark.parametrize(
    ("condition", "op"),
    [
        (AGE == LIMIT, "equal"),
        (AGE != LIMIT, "not-equal"),
        (AGE < LIMIT, "less"),
        (AGE <= LIMIT, "at-most"),
        (AGE > LIMIT, "greater"),
        (AGE >= LIMIT, "at-least"),
        (AGE.like(LIMIT), "like"),
        (AGE.within(LIMIT), "in"),
    ],
)
def test_comparisons(condition, op):
    assert condition.json == {op: [{"field": "age"}, {"parameter": "limit"}]}


def test_a_field_without_a_value_is_asked_for():
    where = entity_field("owner.name").is_null()
    query = named_query("unowned", where, order_by=["-age", "name"])
    assert query == {
        "name": "unowned",
        "where": {"null": {"field": "owner.name"}},
        "orderBy": [
            {"field": "age", "descending": True},
            {"field": "name", "descending": False},
        ],
    }


@entity(key="name")
@dataclass
class Dog:
    name: str


def test_parameters_are_given_one_by_one_or_together():
    asked = []

    def host(interface: str, function: str, request: str) -> str:
        asked.append((interface, function, json.loads(request)))
        return json.dumps({"results": [{"name": "Rex"}], "more": False})

    query = PersistenceService(HostApi(host)).query("named", Dog)
    query.set_parameter("name", "Rex").set_parameters({"name": "Max", "ages": [1, 2]})
    found = query.set_offset(3).set_limit(2).execute()
    assert (found.results, found.has_next()) == ([Dog("Rex")], False)
    ((interface, function, request),) = asked
    assert (interface, function) == ("persistence", "read")
    assert request.pop("type").endswith("Dog")
    assert request == {
        "op": "query",
        "query": "named",
        "parameters": {"name": "Max", "ages": [1, 2]},
        "offset": 3,
        "limit": 2,
    }
