"""Results that are asked for again: the last ones are kept, and two who ask at once wait for one answer."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Recall(Generic[T]):
    """The latest results by key; safe for threads.

    Args:
        size: how many are kept.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, T] = OrderedDict()
        self._working: dict[Hashable, Lock] = {}
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result of `key`, made where it is not there; an error of `make` is not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            working = self._working.setdefault(key, Lock())
        with working:
            with self._lock:
                if key in self._kept:
                    return self._kept[key]
            try:
                result = make()
                with self._lock:
                    self._kept[key] = result
                    while len(self._kept) > self._size:
                        self._kept.popitem(last=False)
                return result
            finally:
                with self._lock:
                    self._working.pop(key, None)
