"""One point a box, so that the sum of qualities over all boxes is greatest: bipartite matching.

Two phases, in double precision. First an auction (Bertsekas 1988) of all pictures at once: every box without a point
offers for its best one what that is worth to it above its second best; the highest offer wins, the price rises to it,
and who had the point looks again. That settles nearly all boxes in a few dozen rounds. What is left are boxes so alike
that they would outbid each other by trifles for ever; each of them is brought in along the cheapest chain of exchanges
(Jonker and Volgenant 1987), with the auction's prices. The sum is the greatest but for 1e-9 a box.

Letters: M pairs, G boxes and P points among them, D points of the box that has the most.
"""

import heapq
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

_Numbers = NDArray[Any]
ALONE = -1e4  # worth of having no point: no better pairs elsewhere could make up for it
STEP = 1e-9  # every offer raises the price by so much, or equal offers would go round in circles
ROUNDS = 100
_NONE, _LEFT = -1, -2  # a box without a point: not yet, or for good


def one_to_one(box: Int[Tensor, " M"], slot: Int[Tensor, " M"], quality: Float[Tensor, " M"]) -> Bool[Tensor, " M"]:
    """Mark the pairs of the best matching.

    As many boxes as possible get a point; among such matchings the sum of qualities is greatest. Pictures do not meet,
    since no two boxes of different pictures want the same slot.

    Args:
        box: (M,) box of each pair; the pairs of a box stand together.
        slot: (M,) its point, counted over all pictures.
        quality: (M,) in [0, 1].
    """
    if not len(box):
        return torch.zeros(0, dtype=torch.bool, device=box.device)
    row, column = torch.unique_consecutive(box, return_inverse=True)[1], torch.unique(slot, return_inverse=True)[1]
    market = _Market(*(each.cpu().numpy() for each in (row, column, quality.double())))
    for left in market.auction():
        market.exchange(left)
    return torch.from_numpy(market.taken()).to(box.device)


class _Market:
    """Boxes that look for points, points with prices.

    Attributes:
        worth: (G, D) quality of each box's points; -inf beyond a box's last.
        column: (G, D) their numbers.
        price: (P,) of each point; 0 as long as nobody has it.
        owner: (P,) the box that has it, or none.
        has: (G,) place in a box's row of the point that it has, or none.
    """

    def __init__(self, row: _Numbers, column: _Numbers, worth: _Numbers) -> None:
        count = np.bincount(row)
        self._row = row
        self._place = np.arange(len(row)) - (np.cumsum(count) - count)[row]
        self.worth = np.full((len(count), int(count.max())), -np.inf)
        self.worth[row, self._place] = worth
        self.column = np.zeros(self.worth.shape, dtype=np.int64)
        self.column[row, self._place] = column
        self.price = np.zeros(int(column.max()) + 1)
        self.owner = np.full(len(self.price), _NONE)
        self.has = np.full(len(count), _NONE)

    def taken(self) -> _Numbers:
        """(M,) whether each pair is one of the matching."""
        return self.has[self._row] == self._place

    def auction(self) -> list[int]:
        """Let all boxes bid at once, round after round; returns those that have no point when time is up."""
        looking = np.arange(len(self.has))
        for _ in range(ROUNDS):
            if not len(looking):
                break
            net = self.worth[looking] - self.price[self.column[looking]]
            each = np.arange(len(looking))
            place = net.argmax(axis=1)
            best = net[each, place]
            net[each, place] = -np.inf
            second = np.maximum(net.max(axis=1, initial=-np.inf), ALONE)
            self.has[looking[best <= ALONE]] = _LEFT
            bids = best > ALONE
            bidder, place, column = looking[bids], place[bids], self.column[looking[bids], place[bids]]
            offer = self.price[column] + (best - second)[bids] + STEP
            order = np.lexsort((bidder, -offer, column))
            order = order[np.flatnonzero(np.diff(column[order], prepend=-1))]  # the highest offer for each point
            winner, sold = bidder[order], column[order]
            before = self.owner[sold]
            self.has[before[before != _NONE]] = _NONE
            self.has[winner] = place[order]
            self.owner[sold], self.price[sold] = winner, offer[order]
            looking = np.sort(np.concatenate([bidder[self.has[bidder] == _NONE], before[before != _NONE]]))
        return looking.tolist()

    def exchange(self, box: int) -> None:
        """Give a box a point along the chain of exchanges that costs least; it, or one in the chain, may stay alone.

        The cost of a step is what a box's next point is worth less to it, at these prices, than its best. The search
        is Dijkstra's, over points.
        """
        cost: dict[int, float] = {}  # of reaching each point
        came: dict[int, tuple[int, int]] = {}  # from which box, and the point's place in its row
        done: list[int] = []
        queue: list[tuple[float, int]] = []
        leaver, least, so_far = box, np.inf, 0.0
        end: int | None = None
        asking = box
        while True:
            net = self.worth[asking] - self.price[self.column[asking]]
            best = max(float(net.max()), ALONE)
            if so_far + best - ALONE < least:
                leaver, least = asking, so_far + best - ALONE
            for place in np.flatnonzero(net > -np.inf).tolist():
                column = int(self.column[asking, place])
                total = so_far + max(best - float(net[place]), 0.0)  # rounding must not make a way back cheaper
                if total < cost.get(column, np.inf):
                    cost[column], came[column] = total, (asking, place)
                    heapq.heappush(queue, (total, column))
            while queue and queue[0][0] > cost[queue[0][1]]:
                heapq.heappop(queue)  # reached for less since
            if not queue or queue[0][0] >= least:
                so_far = least
                break
            so_far, column = heapq.heappop(queue)
            if self.owner[column] == _NONE:
                end = column
                break
            done.append(column)
            asking = int(self.owner[column])
        for column in done:
            self.price[column] += so_far - cost[column]
        self._move(box, leaver, end, came)

    def _move(self, box: int, leaver: int, end: int | None, came: dict[int, tuple[int, int]]) -> None:
        """Pass points on from the end of the chain to `box`, at its start."""
        if end is None:
            if leaver == box:
                self.has[box] = _LEFT
                return
            end = int(self.column[leaver, self.has[leaver]])
            self.has[leaver] = _LEFT
        while True:
            taker, place = came[end]
            before = self.has[taker]
            self.owner[end], self.has[taker] = taker, place
            if taker == box:
                return
            end = int(self.column[taker, before])
