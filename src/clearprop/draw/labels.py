"""Positions of the labels of links: beside their links, and clear of each other and of the units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_HALF, _LIFT, _STEP = 7.0, 8.0, 9.0  # half the height of a label, its height above the link, distance of its discs
_CANDIDATES, _SWEEPS = 25, 10
_ON_LABEL, _ON_UNIT, _ON_LINK, _OFF = 1.0, 4.0, 3.0, 12.0  # penalties: overlaps, and distance from the preference


@dataclass(frozen=True)
class LabelledLink:
    """A link as close points (m, 2), the width of its label, and where on the link the label is preferred."""

    points: np.ndarray
    width: float
    preferred: float  #: as a share of the length of the link


@dataclass(frozen=True)
class _Candidates:
    """Positions of one label: centres (c, 2), angles in radians (c,), and the penalty of each by itself (c,)."""

    centres: np.ndarray
    angles: np.ndarray
    discs: np.ndarray  #: the label as a row of discs (c, k, 2)
    penalty: np.ndarray


def place_labels(links: Sequence[LabelledLink], circles: np.ndarray) -> list[tuple[float, float, float]]:
    """The centre (x, y) and the angle in degrees of the label of each link.

    `circles` (x, y, radius), (u, 3), are to be kept clear. One label after the other is moved to its best position,
    given those of the others, until no label moves.
    """
    candidates = [_candidates(links, n, circles) for n in range(len(links))]
    chosen = [int(np.argmin(own.penalty)) for own in candidates]
    for _ in range(_SWEEPS):
        before = list(chosen)
        for n, own in enumerate(candidates):
            others = [candidates[m].discs[chosen[m]] for m in range(len(links)) if m != n]
            penalty = own.penalty + (_ON_LABEL * _overlap(own.discs, np.concatenate(others)) if others else 0)
            chosen[n] = int(np.argmin(penalty))
        if chosen == before:
            break
    return [
        (float(own.centres[k, 0]), float(own.centres[k, 1]), float(np.degrees(own.angles[k])))
        for own, k in zip(candidates, chosen, strict=True)
    ]


def _candidates(links: Sequence[LabelledLink], n: int, circles: np.ndarray) -> _Candidates:
    link = links[n]
    steps = np.hypot(*np.diff(link.points, axis=0).T)
    along = np.r_[0.0, np.cumsum(steps)]
    length = along[-1]
    end = min(float(circles[:, 2].min(initial=0.0)) + link.width / 2 + 4, 0.45 * length)
    at = np.linspace(end, length - end, _CANDIDATES)
    points = np.stack([np.interp(at, along, link.points[:, k]) for k in (0, 1)], axis=1)
    piece = np.clip(np.searchsorted(along, at, side="right") - 1, 0, len(steps) - 1)
    towards = np.diff(link.points, axis=0)[piece] / np.maximum(steps[piece], 1e-9)[:, None]
    towards = towards * np.where(towards[:, :1] < 0, -1.0, 1.0)  # a label is never upside down
    above = np.stack([towards[:, 1], -towards[:, 0]], axis=1)
    centres = points + _LIFT * above
    offsets = np.linspace(-1, 1, max(2, int(np.ceil(link.width / _STEP)))) * max(0.0, link.width / 2 - _HALF / 2)
    discs = centres[:, None, :] + offsets[None, :, None] * towards[:, None, :]
    penalty = _OFF * np.abs(at / max(length, 1e-9) - link.preferred)
    penalty += _ON_UNIT * _overlap(discs, circles[:, :2], circles[:, 2])
    for m, other in enumerate(links):
        if m != n:
            apart = other.points[None, :, :] - centres[:, None, :]
            u, v = (np.einsum("cpk,ck->cp", apart, axis) for axis in (towards, above))
            penalty += _ON_LINK * ((np.abs(u) < link.width / 2) & (np.abs(v) < _HALF - 1)).any(axis=1)
    return _Candidates(centres, np.arctan2(towards[:, 1], towards[:, 0]), discs, penalty)


def _overlap(discs: np.ndarray, others: np.ndarray, radii: np.ndarray | float = _HALF) -> np.ndarray:
    """The total depth by which the discs (c, k, 2) of each candidate overlap other circles (m, 2), (c,)."""
    apart = np.sqrt(((discs[:, :, None, :] - others[None, None]) ** 2).sum(axis=3))
    return np.maximum(0.0, _HALF + radii - apart).sum(axis=(1, 2))
