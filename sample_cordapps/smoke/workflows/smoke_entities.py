"""Dogs and cats, and the commands that store and find them."""

from dataclasses import dataclass

from cordapp.flows import entity, entity_field, named_query, parameter
from cordapp.persistence import PersistenceService


@entity(
    "id",
    queries=[
        named_query("Dog.all"),
        named_query("Dog.named", entity_field("name") == parameter("name")),
    ],
    indexes=[["name"]],
)
@dataclass(frozen=True)
class Dog:
    id: str
    name: str
    owner: str | None = None


@entity(["name", "breed"])
@dataclass(frozen=True)
class Cat:
    """Known by its name within its breed."""

    name: str
    breed: str
    colour: str = "black"


Data = dict[str, str]


def persist(store: PersistenceService, data: Data) -> str:
    store.persist(Dog(data["id"], data["name"]))
    return f"dog '{data['id']}' saved"


def persist_bulk(store: PersistenceService, data: Data) -> str:
    dogs = _dogs(data)
    store.persist(*dogs)
    return f"dogs {_ids(dogs)} saved"


def persist_once(store: PersistenceService, data: Data) -> str:
    """The same deduplication id twice: the second call is the first one again."""
    for _ in range(2):
        store.persist(Dog(data["id"], data["name"]), dedup_id="once")
    return f"dog '{data['id']}' saved"


def delete(store: PersistenceService, data: Data) -> str:
    store.remove(Dog(data["id"], "-"))
    return f"dog '{data['id']}' deleted"


def delete_bulk(store: PersistenceService, data: Data) -> str:
    dogs = [Dog(id_, "-") for id_ in data["ids"].split(";")]
    store.remove(*dogs)
    return f"dogs {_ids(dogs)} deleted"


def merge(store: PersistenceService, data: Data) -> str:
    (dog,) = store.merge(Dog(data["id"], data["name"]))
    return f"dog '{dog.id}' merged"


def merge_bulk(store: PersistenceService, data: Data) -> str:
    return f"dogs {_ids(store.merge(*_dogs(data)))} merged"


def find(store: PersistenceService, data: Data) -> str:
    dog = store.find(Dog, data["id"])
    return "no dog found" if dog is None else f"found dog id='{dog.id}' name='{dog.name}'"


def find_bulk(store: PersistenceService, data: Data) -> str:
    dogs = store.find_many(Dog, data["ids"].split(";"))
    return "; ".join(f"id='{dog.id}' name='{dog.name}'" for dog in dogs if dog is not None)


def find_all(store: PersistenceService, _data: Data) -> str:
    page = store.pages(Dog).set_limit(1).execute()
    return "found one or more dogs" if page.results else "no dog found"


def query(store: PersistenceService, _data: Data) -> str:
    """All dogs, page by page."""
    page = store.query("Dog.all", Dog).set_limit(2).execute()
    dogs = page.results
    while page.has_next():
        dogs = [*dogs, *page.next()]
    return "found one or more dogs" if dogs == store.find_all(Dog) and dogs else "no dog found"


def query_named(store: PersistenceService, data: Data) -> str:
    found = store.query("Dog.named", Dog).set_parameter("name", data["name"]).execute()
    return _ids(found.results)


def cat(store: PersistenceService, data: Data) -> str:
    """A composite key: store, find and remove."""
    tom = Cat(data["name"], data["breed"])
    store.persist(tom)
    found = store.find(Cat, (tom.name, tom.breed))
    other = store.find(Cat, (tom.breed, tom.name))
    store.remove(tom)
    gone = store.find(Cat, (tom.name, tom.breed))
    return f"found {found == tom}, swapped {other is not None}, after removal {gone is not None}"


def _dogs(data: Data) -> list[Dog]:
    return [Dog(id_, data["name"]) for id_ in data["ids"].split(";")]


def _ids(dogs: list[Dog]) -> str:
    return f"[{', '.join(dog.id for dog in dogs)}]"
