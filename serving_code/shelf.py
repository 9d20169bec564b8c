"""Models by name, as many open at once as there is room for: the one not asked for longest makes way.

Knows neither HTTP nor what a model is. A name stays loaded when its model has made way: the next call opens it again.
No lock is held while a model is opened, so whoever finds theirs open never waits.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

Model = TypeVar("Model")
Opened_co = TypeVar("Opened_co", covariant=True)


class NotLoadedError(Exception):
    """No model of this name was loaded."""


class AlreadyLoadedError(Exception):
    """A model of this name is there."""


class NoRoomError(Exception):
    """A model is larger than what those that are not in use could make way for."""


class ChangedError(Exception):
    """A model's files are not the ones that were loaded under its name."""


class Copy(Protocol[Opened_co]):
    """A model's files within reach. `size` is what it takes once it is open, in bytes."""

    @property
    def size(self) -> int:
        """Bytes."""

    def open(self) -> Opened_co:
        """The model. Raises what the loader of a wrong model is to be told."""

    def close(self) -> None:
        """Let the files go; called once, when the model is not in use any more."""


@dataclass(eq=False)
class Place(Generic[Model]):
    """A name's place. Two loads of one name never share one: an old call keeps its own model."""

    name: str
    url: str
    opening: bool = True
    identity: Hashable = None  # of the model that was loaded first; None until it is
    copy: Copy[Model] | None = None
    model: Model | None = None
    calls: int = 0


@dataclass
class Shelf(Generic[Model]):
    """`fetch` brings the files of a url within reach, `identify` tells models apart, `capacity` is in bytes.

    Safe for threads. `patience`: seconds that a load waits for calls to end if only models in use could make way.
    """

    fetch: Callable[[str], Copy[Model]]
    identify: Callable[[Model], Hashable]
    capacity: int
    patience: float = 2.0
    used: int = field(default=0, init=False)
    _places: OrderedDict[str, Place[Model]] = field(default_factory=OrderedDict, init=False)
    _changed: threading.Condition = field(default_factory=threading.Condition, init=False)

    def load(self, name: str, url: str) -> None:
        """Open a model under a name. Raises AlreadyLoadedError, NoRoomError, and what fetching and opening raise."""
        place = Place[Model](name, url)
        with self._changed:
            self._changed.wait_for(lambda: name not in self._places or self._places[name].identity is not None)
            if name in self._places:
                raise AlreadyLoadedError(name)
            self._places[name] = place
        try:
            self._open(place, calls=0)
        except BaseException:
            with self._changed:
                del self._places[name]
                self._changed.notify_all()
            raise

    def unload(self, name: str) -> None:
        """Forget a name at once, and its model after the calls in flight. Raises NotLoadedError."""
        with self._changed:
            self._changed.wait_for(lambda: name not in self._places or not self._places[name].opening)
            place = self._place(name)
            del self._places[name]
            self._changed.wait_for(lambda: place.calls == 0)
            copy = self._release(place)
        if copy is not None:
            copy.close()

    def take(self, name: str) -> Place[Model] | None:
        """The place of a model that is open, to be used `with using(place)`; None if it must be opened first.

        Raises NotLoadedError. Never waits for more than a lock.
        """
        with self._changed:
            place = self._place(name)
            if place.model is None:
                return None
            place.calls += 1
            self._places.move_to_end(name)
            return place

    def borrow(self, name: str) -> Place[Model]:
        """As `take`, but opens the model if it had made way. Raises ChangedError, NoRoomError and as opening does."""
        with self._changed:
            self._changed.wait_for(lambda: name not in self._places or not self._places[name].opening)
            place = self._place(name)
            if place.model is not None:
                place.calls += 1
                self._places.move_to_end(name)
                return place
            place.opening = True
        self._open(place, calls=1)
        return place

    @contextmanager
    def using(self, place: Place[Model]) -> Iterator[Model]:
        """The model of a place that was taken or borrowed; given back at the end."""
        assert place.model is not None  # noqa: S101 - a place in use is never emptied
        try:
            yield place.model
        finally:
            with self._changed:
                place.calls -= 1
                if place.calls == 0:
                    self._changed.notify_all()

    def listed(self) -> list[tuple[str, str]]:
        """Names and urls of all that is loaded, by name."""
        with self._changed:
            return sorted((one.name, one.url) for one in self._places.values() if one.identity is not None)

    def url(self, name: str) -> str:
        """Where a model was loaded from. Raises NotLoadedError."""
        with self._changed:
            return self._place(name).url

    def _place(self, name: str) -> Place[Model]:
        place = self._places.get(name)
        if place is None or place.identity is None:
            raise NotLoadedError(name)
        return place

    def _open(self, place: Place[Model], calls: int) -> None:
        """Put a model into its place, in use by so many calls."""
        try:
            copy = self.fetch(place.url)
            try:
                model = self._opened(place, copy)
            except BaseException:
                copy.close()
                raise
        except BaseException:
            with self._changed:
                place.opening = False
                self._changed.notify_all()
            raise
        with self._changed:
            place.copy, place.model, place.calls, place.opening = copy, model, calls, False
            self._places.move_to_end(place.name)
            self._changed.notify_all()

    def _opened(self, place: Place[Model], copy: Copy[Model]) -> Model:
        self._reserve(copy.size)
        try:
            model = copy.open()
            identity = self.identify(model)
            if place.identity not in (None, identity):
                raise ChangedError(f"{place.url} is not the model any more that was loaded from it")
        except BaseException:
            with self._changed:
                self.used -= copy.size
                self._changed.notify_all()
            raise
        place.identity = identity
        return model

    def _reserve(self, size: int) -> None:
        """Count so many bytes as used, once others have made way for them. Raises NoRoomError."""
        if size > self.capacity:
            raise NoRoomError(f"the model takes {size} bytes, and all models together may take {self.capacity}")
        deadline = time.monotonic() + self.patience
        while True:
            with self._changed:
                leaving = self._leaving(size)
                if leaving is not None:
                    copies = [self._release(place) for place in leaving]
                    self.used += size
                    break
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise NoRoomError(f"the model takes {size} bytes; calls in flight use too many of {self.capacity}")
        for copy in copies:
            if copy is not None:
                copy.close()

    def _leaving(self, size: int) -> list[Place[Model]] | None:
        """The models not in use that have to make way for so many bytes; None if all of them are too few."""
        over, found = self.used + size - self.capacity, []
        for place in self._places.values():
            if over <= 0:
                break
            if place.copy is not None and place.calls == 0 and not place.opening:
                found.append(place)
                over -= place.copy.size
        return found if over <= 0 else None

    def _release(self, place: Place[Model]) -> Copy[Model] | None:
        copy, place.copy, place.model = place.copy, None, None
        if copy is not None:
            self.used -= copy.size
            self._changed.notify_all()
        return copy
