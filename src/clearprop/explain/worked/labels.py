"""Where the numbers on the links of a drawing stand: along their links, and clear of each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_HALF, _LIFT, _STEP = 7.0, 8.0, 9.0  # half the height of a number, how far above its link it stands, disc to disc
_PLACES, _SWEEPS = 25, 10
_ON_LABEL, _ON_UNIT, _ON_LINK, _OFF = 1.0, 4.0, 3.0, 12.0  # what it costs to lie on something, or far from the wish


@dataclass(frozen=True)
class Spoken:
    """A link as points close to each other (m, 2), the width of its number, and where on it the number would stand."""

    way: np.ndarray
    width: float
    wish: float  #: a share of its length


@dataclass(frozen=True)
class _Candidates:
    """The places one number may take: centres (c, 2), angles in radians (c,), and how bad each is by itself (c,)."""

    centres: np.ndarray
    angles: np.ndarray
    discs: np.ndarray  #: the number as a row of discs (c, k, 2)
    cost: np.ndarray


def place_labels(links: Sequence[Spoken], units: np.ndarray) -> list[tuple[float, float, float]]:
    """The centre and the angle in degrees of the number of each link.

    `units` are circles (x, y, radius) to keep clear of, (u, 3). Each number goes where it is least in the way, given
    the places of all others, in turn until none moves any more.
    """
    open_to = [_candidates(links, n, units) for n in range(len(links))]
    chosen = [int(np.argmin(places.cost)) for places in open_to]
    for _ in range(_SWEEPS):
        moved = False
        for n, places in enumerate(open_to):
            others = [open_to[m].discs[chosen[m]] for m in range(len(links)) if m != n]
            cost = places.cost + (_ON_LABEL * _overlap(places.discs, np.concatenate(others)) if others else 0)
            best = int(np.argmin(cost))
            moved |= best != chosen[n]
            chosen[n] = best
        if not moved:
            break
    found = []
    for places, k in zip(open_to, chosen, strict=True):
        x, y = places.centres[k]
        found.append((float(x), float(y), float(np.degrees(places.angles[k]))))
    return found


def _candidates(links: Sequence[Spoken], n: int, units: np.ndarray) -> _Candidates:
    link = links[n]
    steps = np.hypot(*np.diff(link.way, axis=0).T)
    along = np.r_[0.0, np.cumsum(steps)]
    length = along[-1]
    end = min(float(units[:, 2].min(initial=0.0)) + link.width / 2 + 4, 0.45 * length)
    at = np.linspace(end, length - end, _PLACES)
    points = np.stack([np.interp(at, along, link.way[:, k]) for k in (0, 1)], axis=1)
    piece = np.clip(np.searchsorted(along, at, side="right") - 1, 0, len(steps) - 1)
    towards = np.diff(link.way, axis=0)[piece] / np.maximum(steps[piece], 1e-9)[:, None]
    towards = towards * np.where(towards[:, :1] < 0, -1.0, 1.0)  # a number is never upside down
    above = np.stack([towards[:, 1], -towards[:, 0]], axis=1)
    centres = points + _LIFT * above
    offsets = np.linspace(-1, 1, max(2, int(np.ceil(link.width / _STEP)))) * max(0.0, link.width / 2 - _HALF / 2)
    discs = centres[:, None, :] + offsets[None, :, None] * towards[:, None, :]
    cost = _OFF * np.abs(at / max(length, 1e-9) - link.wish)
    cost += _ON_UNIT * _overlap(discs, units[:, :2], units[:, 2])
    for m, other in enumerate(links):
        if m != n:
            apart = other.way[None, :, :] - centres[:, None, :]
            u, v = (np.einsum("cpk,ck->cp", apart, axis) for axis in (towards, above))
            cost += _ON_LINK * ((np.abs(u) < link.width / 2) & (np.abs(v) < _HALF - 1)).any(axis=1)
    return _Candidates(centres, np.arctan2(towards[:, 1], towards[:, 0]), discs, cost)


def _overlap(discs: np.ndarray, others: np.ndarray, radii: np.ndarray | float = _HALF) -> np.ndarray:
    """How deep the discs (c, k, 2) of each candidate lie in other circles (m, 2), added up, (c,)."""
    apart = np.sqrt(((discs[:, :, None, :] - others[None, None]) ** 2).sum(axis=3))
    return np.maximum(0.0, _HALF + radii - apart).sum(axis=(1, 2))
