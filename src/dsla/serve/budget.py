"""How much is held in memory: pictures and bytes are refused above a bound, decoded pixels wait for their turn."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from dsla.serve.request_error import busy


@dataclass
class Share:
    """What one request holds of the two bounds."""

    owner: "Admission"
    pictures: int = 0
    held_bytes: int = 0

    def take(self, *, pictures: int = 0, held_bytes: int = 0) -> None:
        """Hold more. Raises `RequestError` 503 above a bound, which changes nothing."""
        owner = self.owner
        if owner.pictures + pictures > owner.most_pictures:
            raise busy(f"{owner.pictures} pictures are waiting, of {owner.most_pictures} that may")
        if owner.held_bytes + held_bytes > owner.most_bytes:
            raise busy("the requests that are being read fill the memory set aside for them")
        owner.pictures += pictures
        owner.held_bytes += held_bytes
        self.pictures += pictures
        self.held_bytes += held_bytes


@dataclass
class Admission:
    """Pictures accepted and not answered, and bytes of bodies in memory, over all requests."""

    most_pictures: int
    most_bytes: int
    pictures: int = 0
    held_bytes: int = 0

    @contextmanager
    def admit(self) -> Generator[Share]:
        """A request's share, one picture to begin with; given back at the end whatever happens."""
        share = Share(self)
        share.take(pictures=1)
        try:
            yield share
        finally:
            self.pictures -= share.pictures
            self.held_bytes -= share.held_bytes


@dataclass
class Budget:
    """A quantity that is shared first come, first served: who finds too little left waits."""

    total: int
    used: int = 0
    _waiting: "deque[tuple[int, asyncio.Future[None]]]" = field(default_factory=deque)  # pyright: ignore[reportUnknownVariableType]

    @asynccontextmanager
    async def hold(self, amount: int) -> AsyncGenerator[None]:
        """Hold an amount for a while; one that is greater than the total counts as the total."""
        amount = min(amount, self.total)
        if self._waiting or self.used + amount > self.total:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((amount, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # it was granted in the same moment
                    self._give_back(amount)
                else:
                    self._waiting.remove((amount, turn))
                    self._grant()
                raise
        else:
            self.used += amount
        try:
            yield
        finally:
            self._give_back(amount)

    def _give_back(self, amount: int) -> None:
        self.used -= amount
        self._grant()

    def _grant(self) -> None:
        while self._waiting and self.used + self._waiting[0][0] <= self.total:
            amount, turn = self._waiting.popleft()
            if not turn.cancelled():
                self.used += amount
                turn.set_result(None)
