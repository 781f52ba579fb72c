"""Names of units and weights: how they are shown, and how a text such as "hidden[3] <- age" is resolved."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clearprop.core.connections import Connection, Wired
from clearprop.core.layout import Block
from clearprop.core.network import INPUT, Network
from clearprop.errors import ArgumentError

_INDEXED = re.compile(r"(?P<layer>.*)\[(?P<unit>.*)\]", re.DOTALL)


@dataclass(frozen=True)
class Unit:
    """One unit of a layer, or one input of the network."""

    layer: str
    index: int


@dataclass(frozen=True)
class Subject:
    """What a derivation is about: `kind` is "weight", "bias", "a" (dJ/da of a unit or an input) or "z" (dJ/dz).

    `places` are the pairs (source unit, unit) that a weight connects: one, or several if it is shared.
    """

    kind: str
    unit: Unit
    places: tuple[tuple[Unit, Unit], ...] = ()
    block: Block | None = None
    entry: tuple[int, ...] = ()  #: where in the block

    @property
    def source(self) -> Unit:
        """The source unit of a weight (of its first connection if it is shared)."""
        return self.places[0][0]


@dataclass(frozen=True)
class Names:
    """The network and the names of its units by layer, if they are known (column names, classes).

    Units without a name are numbered from `first`.
    """

    net: Network
    given: Mapping[str, Sequence[str]] = field(default_factory=dict)
    first: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.given, Mapping):
            raise ArgumentError(f"names: expected texts by layer, a dict, got {self.given!r}.")
        for layer, names in self.given.items():
            if not isinstance(names, Sequence) or isinstance(names, str):
                raise ArgumentError(f'names: expected a list of texts for "{layer}", got {names!r}.')
            units = self.net.units(layer)  # raises where there is no such layer
            if len(names) != units or not all(isinstance(name, str) for name in names):
                raise ArgumentError(f'names: expected {units} texts for "{layer}", one per unit, got {list(names)!r}.')

    def unit(self, unit: Unit) -> str:
        """The name of a unit: the column or class where known, else layer[index]."""
        known = self.given.get(unit.layer)
        return f"{unit.layer}[{unit.index + self.first}]" if known is None else known[unit.index]

    def units(self, layer: str) -> Iterator[Unit]:
        """The units of a layer, or of the input."""
        return (Unit(layer, index) for index in range(self.net.units(layer)))

    def subject(self, text: str) -> str:
        """The text with one space on each side of the arrow."""
        return " <- ".join(part.strip() for part in re.split("<-|←", text))

    # --- from text --------------------------------------------------------------------------------------------------

    def find(self, text: Any) -> Subject:
        """The weight, bias, unit or input that a text names; raises ArgumentError with the closest names.

        "hidden[3] <- input[2]" is a weight, "hidden[3].b" a bias, "hidden[3]" and "hidden[3].z" dJ/dz of a unit,
        "hidden[3].a" its dJ/da, "input[2]" or the column's name dJ/dx. A name can replace an index.
        """
        if not isinstance(text, str):
            raise ArgumentError(
                f'derivation: expected a text such as "hidden[3] <- input[2]" or "hidden[3].b", got {text!r}.'
            )
        whole = self._unit(text.strip())
        if whole is not None:  # a column may have any name, an arrow or a dot in it too
            return Subject("a" if whole.layer == INPUT else "z", whole)
        for arrow in re.finditer("<-|←", text):
            units = self._unit(text[: arrow.start()].strip()), self._unit(text[arrow.end() :].strip())
            if units[0] is not None and units[1] is not None:
                return self._weight(units[0], units[1], text)
        stem, dot, kind = text.strip().rpartition(".")
        unit = self._unit(stem) if dot and kind in ("a", "z", "b") else None
        if unit is None or (unit.layer == INPUT and kind != "a"):
            raise self._unknown(text)
        return self._bias(unit, text) if kind == "b" else Subject(kind, unit)

    def _unit(self, text: str) -> Unit | None:
        for layer, names in self.given.items():
            if list(names).count(text) == 1:
                return Unit(layer, list(names).index(text))
        match = _INDEXED.fullmatch(text)
        if match is None or match["layer"] not in (INPUT, *self.net.index):
            return None
        layer, inside = match["layer"], match["unit"].strip()
        if re.fullmatch(r"[0-9]{1,9}", inside) and int(inside) < self.net.units(layer):
            return Unit(layer, int(inside))
        known = list(self.given.get(layer, ()))
        return Unit(layer, known.index(inside)) if known.count(inside) == 1 else None

    def _weight(self, target: Unit, source: Unit, text: str) -> Subject:
        if target.layer == INPUT:
            raise self._unknown(text)
        taken = [c for c in self.net[target.layer].connections if c.source == source.layer]
        weighted = [c for c in taken if c.kind != "identity"]
        if not weighted and taken and source.index == target.index:
            raise ArgumentError(
                f'derivation: "{self.subject(text)}" is an identity connection: its weight is fixed at 1. '
                f"{self._nearest(text)}"
            )
        places = self._places(weighted[0], source, target) if weighted else None
        if places is None:
            raise self._unknown(text)
        block = self._block(target.layer, source.layer)
        entry = (source.index, target.index)
        if isinstance(weighted[0], Wired):
            entry = (int(weighted[0].numbers[source.index, target.index]) - 1,)
        return Subject("weight", target, places, block, entry)

    def _places(self, c: Connection, source: Unit, target: Unit) -> tuple[tuple[Unit, Unit], ...] | None:
        """All pairs of units that share a weight, the requested pair first; None if the pair is not connected."""
        if not isinstance(c, Wired):
            return ((source, target),)
        number = c.numbers[source.index, target.index]
        if number == 0:
            return None
        asked = (source, target)
        found = [(Unit(source.layer, int(i)), Unit(target.layer, int(j))) for i, j in np.argwhere(c.numbers == number)]
        return (asked, *(place for place in found if place != asked))

    def _bias(self, unit: Unit, text: str) -> Subject:
        if not self.net[unit.layer].bias:
            raise ArgumentError(
                f'derivation: layer "{unit.layer}" has no bias, so there is no "{self.subject(text)}". '
                f"{self._nearest(text)}"
            )
        return Subject("bias", unit, (), self._block(unit.layer, None), (unit.index,))

    def _block(self, layer: str, source: str | None) -> Block:
        return next(b for b in self.net.layout.blocks if b.layer == layer and b.source == source)

    # --- what there is ----------------------------------------------------------------------------------------------

    def _unknown(self, text: str) -> ArgumentError:
        return ArgumentError(
            f'derivation: there is no "{self.subject(text)}". {self._nearest(text)} '
            'A weight is written "unit <- source unit", a bias "unit.b", a unit "unit" or "unit.a", '
            f"an input by its name; {self._counts()}."
        )

    def _counts(self) -> str:
        sizes = [f"{layer}[0..{self.net.units(layer) - 1}]" for layer in [INPUT, *self.net.index]]
        return "the units are " + ", ".join(sizes[:8]) + (f" and {len(sizes) - 8} more layers" if sizes[8:] else "")

    def _nearest(self, text: str) -> str:
        """The names that are closest to the text (searched layer by layer, to be fast)."""
        wanted = self.subject(text)
        left, arrow, right = wanted.partition(" <- ")
        if not arrow:
            stem, dot, kind = wanted.rpartition(".")
            suffix = f".{kind}" if dot and kind in ("a", "z", "b") else ""
            whole = self._unit(stem) if dot and not suffix else None
            if whole is not None and whole.layer != INPUT:  # the unit exists, its quantity does not
                own = [f"{stem}.b"] if self.net[whole.layer].bias else []
                return _meant([*own, f"{stem}.a", f"{stem}.z"])
            near = _close(stem if suffix else wanted, (self.unit(u) for u in self._all(inputs=suffix != ".b")), 3)
            kept = [name + suffix for name in near if suffix != ".b" or self._has_bias(name)]
            return _meant(kept)
        known = self._unit(left)
        targets = [self.unit(known)] if known is not None and known.layer != INPUT else None
        targets = targets or _close(left, (self.unit(u) for u in self._all(inputs=False)), 4)
        pairs = []
        for target in targets:
            unit = self._unit(target)
            if unit is not None:
                sources = _close(right, (self.unit(s) for s in self._sources(unit)), 3)
                pairs += [f"{target} <- {source}" for source in sources]
        return _meant(sorted(pairs, key=lambda pair: -difflib.SequenceMatcher(None, wanted, pair).ratio())[:3])

    def _all(self, inputs: bool) -> Iterator[Unit]:
        for layer in [INPUT, *self.net.index] if inputs else list(self.net.index):
            yield from self.units(layer)

    def _has_bias(self, name: str) -> bool:
        unit = self._unit(name)
        return unit is not None and unit.layer != INPUT and self.net[unit.layer].bias

    def _sources(self, unit: Unit) -> Iterator[Unit]:
        """The units whose weights lead to a unit."""
        for c in self.net[unit.layer].connections:
            for source in self.units(c.source):
                if c.kind != "identity" and (not isinstance(c, Wired) or c.numbers[source.index, unit.index]):
                    yield source


def _close(text: str, names: Iterable[str], count: int) -> list[str]:
    """The names nearest to a text, whatever their case, among the first 20,000."""
    listed = {name.lower(): name for name, _ in zip(names, range(20_000), strict=False)}
    return [listed[name] for name in difflib.get_close_matches(text.lower(), listed, n=count, cutoff=0.0)]


def _meant(names: list[str]) -> str:
    return f"The nearest are: {', '.join(names)}." if names else "The network has none."


def names_of_table(encoding: Any, net: Network) -> dict[str, tuple[str, ...]]:
    """Names of the inputs and of the outputs of a model that reads a table: its columns, and "column=class".

    >>> import clearprop as cp
    >>> table = {"x": [i / 20 for i in range(20)], "color": ["red", "blue", "green", "blue"] * 5}
    >>> model = cp.fit(table, "color", hidden=(2,), epochs=1)
    >>> names_of_table(model.encoding, model.net)
    {'input': ('x',), 'output': ('color=blue', 'color=green', 'color=red')}
    """
    output = (net.outputs or ("",))[0]
    labels = encoding.target_names
    if encoding.classes:
        shown = encoding.classes if encoding.outputs > 1 else encoding.classes[1:]
        labels = tuple(f"{encoding.target_names[0]}={label}" for label in shown)
    return {INPUT: tuple(encoding.input_names), output: tuple(labels)}
