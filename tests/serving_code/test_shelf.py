"""The shelf of models, with models that are only names: every model says whose it is."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from serving_code.shelf import AlreadyLoadedError, ChangedError, NoRoomError, NotLoadedError, Shelf

SIZE = 10


class WrongError(Exception):
    """What a wrong model's opening raises."""


@dataclass
class Files:
    """A url's files: `open` gives the url itself as the model, unless the world says otherwise."""

    world: "World"
    url: str
    size: int = SIZE

    def open(self) -> str:
        self.world.gate.wait(10)
        self.world.opened[self.url] += 1
        if self.url in self.world.wrong:
            raise WrongError(self.url)
        return self.world.content.get(self.url, self.url)

    def close(self) -> None:
        self.world.closed[self.url] += 1


@dataclass
class World:
    """What was opened and closed; nothing opens while the gate is shut."""

    opened: Counter[str] = field(default_factory=Counter)
    closed: Counter[str] = field(default_factory=Counter)
    wrong: set[str] = field(default_factory=set)
    content: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    gate: threading.Event = field(default_factory=threading.Event)

    def fetch(self, url: str) -> Files:
        return Files(self, url, self.sizes.get(url, SIZE))


def shelf_of(room: int, patience: float = 0.0) -> tuple[Shelf[str], World]:
    """A shelf with room for so many models of the usual size."""
    world = World()
    world.gate.set()
    return Shelf(world.fetch, str, room * SIZE, patience), world


def ask(shelf: Shelf[str], name: str) -> str:
    place = shelf.take(name) or shelf.borrow(name)
    with shelf.using(place) as model:
        return model


def run(function: Callable[..., object], *given: object) -> "Future[object]":
    """In a thread that does not keep the tests from ending."""
    found: Future[object] = Future()

    def body() -> None:
        try:
            found.set_result(function(*given))
        except Exception as error:  # noqa: BLE001 - handed over
            found.set_exception(error)

    threading.Thread(target=body, daemon=True).start()
    return found


def still_waits(future: "Future[object]") -> bool:
    with pytest.raises(TimeoutError):
        future.result(0.05)
    return True


def test_a_model_is_there_from_its_loading_to_its_unloading():
    shelf, world = shelf_of(2)
    for asked in (shelf.take, shelf.borrow, shelf.unload, shelf.url):
        with pytest.raises(NotLoadedError):
            asked("a")
    shelf.load("a", "one")
    assert (ask(shelf, "a"), shelf.url("a"), shelf.listed(), shelf.used) == ("one", "one", [("a", "one")], SIZE)
    with pytest.raises(AlreadyLoadedError):
        shelf.load("a", "two")
    shelf.unload("a")
    assert (shelf.listed(), shelf.used, world.closed) == ([], 0, {"one": 1})
    with pytest.raises(NotLoadedError):
        shelf.take("a")


def test_f47_the_one_not_asked_for_longest_makes_way_and_is_opened_again_when_it_is_asked():
    shelf, world = shelf_of(2)
    shelf.load("a", "one")
    shelf.load("b", "two")
    ask(shelf, "a")
    shelf.load("c", "three")
    assert (world.closed, shelf.used, len(shelf.listed())) == ({"two": 1}, 2 * SIZE, 3)
    assert shelf.take("b") is None
    assert (ask(shelf, "b"), world.opened["two"]) == ("two", 2)
    assert world.closed == {"two": 1, "one": 1}


def test_only_as_many_make_way_as_are_in_the_way_and_none_in_vain():
    shelf, world = shelf_of(3)
    for name in "abc":
        shelf.load(name, name)
    world.sizes = {"big": 2 * SIZE, "huge": 4 * SIZE}
    shelf.load("d", "big")
    assert world.closed == {"a": 1, "b": 1}
    with pytest.raises(NoRoomError, match="takes 40 bytes, and all models together may take 30"):
        shelf.load("e", "huge")
    place = shelf.take("d")
    world.sizes["two"] = 2 * SIZE
    with pytest.raises(NoRoomError, match="calls in flight"):
        shelf.load("f", "two")
    assert shelf.take("c") is not None
    assert place is not None


def test_f47_a_model_in_use_never_makes_way_and_a_patient_load_waits_for_it():
    shelf, world = shelf_of(1, patience=10)
    shelf.load("a", "one")
    place = shelf.take("a")
    loading = run(shelf.load, "b", "two")
    assert still_waits(loading)
    with shelf.using(place) as model:
        assert (model, world.closed) == ("one", {})
    loading.result(10)
    assert world.closed == {"one": 1}


def test_parallel_loads_of_one_name_open_it_once():
    shelf, world = shelf_of(9)
    world.gate.clear()
    loads = [run(shelf.load, "a", "one") for _ in range(8)]
    assert all(still_waits(one) for one in loads)
    world.gate.set()
    errors = Counter(type(one.exception(10)) for one in loads)
    assert errors == {type(None): 1, AlreadyLoadedError: 7}
    assert world.opened == {"one": 1}


def test_parallel_calls_of_a_model_that_made_way_open_it_once():
    shelf, world = shelf_of(1)
    shelf.load("a", "one")
    shelf.load("b", "two")
    world.gate.clear()
    calls = [run(ask, shelf, "a") for _ in range(8)]
    assert all(still_waits(one) for one in calls)
    world.gate.set()
    assert {one.result(10) for one in calls} == {"one"}
    assert world.opened["one"] == 2


def test_f47_unloading_waits_for_the_call_in_flight_while_its_name_is_free_at_once():
    shelf, world = shelf_of(2)
    shelf.load("a", "one")
    place = shelf.take("a")
    leaving = run(shelf.unload, "a")
    assert still_waits(leaving)
    shelf.load("a", "two")
    assert ask(shelf, "a") == "two"
    with shelf.using(place) as model:
        assert (model, world.closed) == ("one", {})
    leaving.result(10)
    assert (world.closed, shelf.used, shelf.listed()) == ({"one": 1}, SIZE, [("a", "two")])


def test_a_load_that_fails_leaves_neither_a_name_nor_used_bytes():
    shelf, world = shelf_of(1)
    world.wrong.add("bad")
    for _ in range(2):
        with pytest.raises(WrongError):
            shelf.load("a", "bad")
    assert (shelf.listed(), shelf.used, world.closed) == ([], 0, {"bad": 2})
    shelf.load("a", "good")
    assert ask(shelf, "a") == "good"


def test_f47_a_model_that_was_changed_or_broken_since_its_loading_is_not_served():
    shelf, world = shelf_of(1)
    shelf.load("a", "one")
    shelf.load("b", "two")
    world.content["one"] = "another model"
    with pytest.raises(ChangedError):
        shelf.borrow("a")
    world.wrong.add("one")
    with pytest.raises(WrongError):
        shelf.borrow("a")
    assert ask(shelf, "b") == "two"
    world.wrong.clear()
    world.content.clear()
    assert ask(shelf, "a") == "one"  # and the name was not lost over it
    assert shelf.used == SIZE


def test_f47_fifty_threads_never_get_another_model_while_models_come_go_and_make_way():
    shelf, world = shelf_of(5, patience=10)
    names, versions = [f"customer {number}" for number in range(12)], Counter[str]()
    owner = threading.Lock()

    def work(seed: int) -> Counter[str]:
        chance, seen = random.Random(seed), Counter[str]()
        for _ in range(120):
            name = chance.choice(names)
            try:
                if chance.random() < 0.1:
                    shelf.unload(name)
                elif chance.random() < 0.2:
                    with owner:
                        versions[name] += 1
                        url = f"{name}/{versions[name]}"
                    shelf.load(name, url)
                else:
                    assert ask(shelf, name).startswith(f"{name}/")
                    seen["answered"] += 1
            except (NotLoadedError, AlreadyLoadedError) as error:
                seen[type(error).__name__] += 1
            assert shelf.used <= shelf.capacity
        return seen

    with ThreadPoolExecutor(50) as pool:
        seen = sum(pool.map(work, range(50)), Counter[str]())
    assert seen["answered"] > 1000
    assert sum(world.closed.values()) > 50
    for name, _ in shelf.listed():
        shelf.unload(name)
    assert (shelf.used, world.closed) == (0, world.opened)
