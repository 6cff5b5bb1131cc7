"""The rule of stitching: which of the objects that several tiles saw stand for what is there.

Two objects of two tiles are *the same* when they agree in at least half of what both tiles could see; each tile
gives at most one object to a group of the same ones. An object that is no more than half of another one, but lies in
it, is *a part*. Parts that some tile saw whole are a question: did one tile join two objects, or did the other
split one? What is less odd among the objects of this field wins, and each tile has a vote.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hts.stages.segment.stitch.overlaps import Overlaps
from hts.stages.segment.stitch.records import AREA
from hts.stages.segment.stitch.typical import Typical

HALF = 0.5
WHOLE = 0.65
"""Agreement of two objects from which on they are the same, when both tiles saw theirs whole."""
VOTE = 1.0
"""What the opinion of one more tile weighs, in units of log-likelihood."""
CAUTION = 0.5
"""How much likelier one object must be than several: a split object is a smaller error than joined ones."""
REMAINDER = 0.25
"""Part of the typical area from which on what parts leave of an object is an object, too."""


@dataclass(frozen=True)
class Seen:
    """All objects of all records, in the order of blocks and labels.

    ``tile`` (m,) is the number of the block, ``sums`` (m, 10) and ``is_cut`` (m,) as in the records, ``margin`` (m,)
    the distance in px from the nearest edge of the tile that is not the field's.
    """

    tile: NDArray[np.int64]
    sums: NDArray[np.int64]
    is_cut: NDArray[np.bool_]
    margin: NDArray[np.int64]


@dataclass
class Choice:
    """Which objects stand (m,), and what was decided: parts that were joined into one, joined objects that were
    parted, and remains at the edge of a tile that were dropped. ``joins`` are objects that are a piece of another one
    of the same tile."""

    stands: NDArray[np.bool_]
    joins: dict[int, int] = field(default_factory=dict)
    joined: int = 0
    parted: int = 0
    slivers: int = 0


@dataclass
class _Group:
    """Objects of different tiles that are the same, the best first; and by member the parts that lie in it."""

    members: list[int]
    parts: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))

    def put_first(self, member: int) -> None:
        """Make a member the one that stands for the group."""
        self.members.remove(member)
        self.members.insert(0, member)


def choose(seen: Seen, overlaps: Overlaps) -> Choice:
    """Decide which objects stand for what is there, independently of the order of anything."""
    group_of, groups = _groups(seen, overlaps)
    _find_parts(groups, group_of, overlaps, seen.sums[:, AREA])
    heads = np.array([group.members[0] for group in groups], np.int64)
    whole = heads[~seen.is_cut[heads]] if len(heads) else heads
    rule = _Rule(seen, groups, Typical.of(seen.sums[whole]))
    return rule.apply()


def _groups(seen: Seen, overlaps: Overlaps) -> tuple[NDArray[np.int64], list[_Group]]:
    """Join the same objects, the best agreement first, never two of one tile."""
    agreement = overlaps.agreement
    both_whole = ~(seen.is_cut[overlaps.first] | seen.is_cut[overlaps.second])
    chosen = np.flatnonzero(agreement >= np.where(both_whole, WHOLE, HALF))
    chosen = chosen[np.lexsort((overlaps.second[chosen], overlaps.first[chosen], -agreement[chosen]))]
    members: dict[int, list[int]] = {}
    root = list(range(len(seen.tile)))
    tile = seen.tile.tolist()
    for i, j in zip(overlaps.first[chosen].tolist(), overlaps.second[chosen].tolist(), strict=True):
        a, b = root[i], root[j]
        ours, theirs = members.get(a, [a]), members.get(b, [b])
        if a == b or {tile[k] for k in ours} & {tile[k] for k in theirs}:
            continue
        members[a] = ours + theirs
        members.pop(b, None)
        for k in theirs:
            root[k] = a
    # Whole objects first, then those far from the edges of their tile, then the largest.
    rank = np.empty(len(root), np.int64)
    order = np.lexsort((np.arange(len(root)), -seen.sums[:, AREA], -seen.margin, seen.is_cut))
    rank[order] = np.arange(len(root))
    roots = [k for k in range(len(root)) if root[k] == k]
    groups = [_Group(sorted(members.get(k, [k]), key=rank.__getitem__)) for k in roots]
    number = {k: place for place, k in enumerate(roots)}
    return np.array([number[k] for k in root], np.int64), groups


def _find_parts(groups: list[_Group], group_of: NDArray[np.int64], overlaps: Overlaps, area: NDArray[np.int64]) -> None:
    """Note for each group which other groups lie in which of its members, with the pixels that they share."""
    first, second = overlaps.first, overlaps.second
    is_first_larger = area[first] >= area[second]
    visible = np.where(is_first_larger, overlaps.visible_second, overlaps.visible_first)
    inside = np.flatnonzero((overlaps.shared >= HALF * visible) & (group_of[first] != group_of[second]))
    for edge in inside.tolist():
        large, small = int(first[edge]), int(second[edge])
        if not is_first_larger[edge]:
            large, small = small, large
        parts = groups[group_of[large]].parts[large]
        part = int(group_of[small])
        parts[part] = max(parts.get(part, 0), int(overlaps.shared[edge]))


class _Rule:
    """The decisions, from the largest object to the smallest; ``dropped`` are groups that do not stand."""

    def __init__(self, seen: Seen, groups: list[_Group], typical: Typical) -> None:
        self._seen, self._groups, self._typical = seen, groups, typical
        self._dropped: set[int] = set()
        self._choice = Choice(np.zeros(len(seen.tile), np.bool_))

    def apply(self) -> Choice:
        area = self._seen.sums[:, AREA]
        asked = [place for place, group in enumerate(self._groups) if group.parts]
        for place in sorted(asked, key=lambda place: (-max(area[k] for k in self._groups[place].parts), place)):
            if place not in self._dropped:
                self._decide(place)
        for place, group in enumerate(self._groups):
            if place not in self._dropped:
                head = group.members[0]
                if self._seen.is_cut[head] and area[head] < HALF * self._typical.area_px:
                    self._choice.slivers += 1
                else:
                    self._choice.stands[head] = True
        return self._choice

    def _decide(self, place: int) -> None:
        """One object or several: the group's member that has parts in it, or the parts with what else is there."""
        group, seen = self._groups[place], self._seen
        parts = {part for inside in group.parts.values() for part in inside} - self._dropped
        whole = sorted(part for part in parts if not self._is_cut(part))
        holders = [k for k in group.members if any(part in group.parts.get(k, ()) for part in whole)]
        if not holders:
            self._dropped |= parts
            return
        one = holders[0]
        rest = [k for k in group.members if k not in holders and not seen.is_cut[k]]
        if seen.is_cut[one]:
            self._decide_cut(place, one, (whole, rest))
        elif self._are_several(group, one, whole, rest):
            self._choice.parted += 1
            self._dropped |= parts - set(whole)
            self._give_way(place, rest)
            if not rest and self._remainder(group, one, whole):
                self._dropped.discard(place)
        else:
            self._choice.joined += 1
            self._dropped |= parts
            group.put_first(one)

    def _give_way(self, place: int, rest: list[int]) -> None:
        """The group's object is not what its largest member says: another member stands, or nothing of it."""
        if rest:
            self._groups[place].put_first(rest[0])
        else:
            self._dropped.add(place)

    def _decide_cut(self, place: int, one: int, inside: tuple[list[int], list[int]]) -> None:
        """No tile saw the large object whole: it is its parts, or these are pieces of one object in one tile."""
        (whole, rest), seen = inside, self._seen
        shared = self._groups[place].parts[one]
        if not rest and sum(shared.get(part, 0) for part in whole) < HALF * seen.sums[one, AREA]:
            # Far from all of it: they are specks in it, or it stands for what else is there.
            small = HALF * (self._typical.area_px or float(seen.sums[one, AREA]))
            self._dropped.update(part for part in whole if self._area(part) < small)
            return
        self._give_way(place, rest)
        pieces = self._in_one_tile([*whole, *([place] if rest else [])])
        together = seen.sums[pieces].sum(axis=0, keepdims=True)
        odd = self._typical.oddity
        if len(pieces) > 1 and odd(together)[0] + CAUTION < odd(seen.sums[pieces]).mean():
            self._choice.joined += 1
            self._choice.joins.update(dict.fromkeys(pieces[1:], pieces[0]))
            self._dropped.update((whole if not rest else [*whole, place])[1:])
        else:
            self._choice.parted += 1

    def _in_one_tile(self, places: list[int]) -> list[int]:
        """One whole member of each group, all of one tile, and put first; none when no tile has them all."""
        seen, groups = self._seen, [self._groups[place] for place in places]
        by_tile = [{int(seen.tile[k]): k for k in group.members if not seen.is_cut[k]} for group in groups]
        common = set.intersection(*(set(found) for found in by_tile))
        if len(places) < 2 or not common:
            return []
        for group, found in zip(groups, by_tile, strict=True):
            group.put_first(found[min(common)])
        return [found[min(common)] for found in by_tile]

    def _are_several(self, group: _Group, one: int, whole: list[int], rest: list[int]) -> bool:
        """Whether a whole object is rather its parts, with another member of its group or what they leave of it."""
        seen, typical = self._seen, self._typical
        heads = [self._groups[part].members[0] for part in whole]
        remainder = 0 if rest else self._remainder(group, one, whole)
        pieces = seen.sums[[*heads, *rest[:1]]]
        count = len(pieces) + (remainder > 0)
        if typical.centre is None or count < 2:
            return count > 1 and int(pieces[:, AREA].sum()) + remainder >= HALF * int(seen.sums[one, AREA])
        odd = [*typical.oddity(pieces), *([typical.oddity_of_area(remainder)] if remainder else [])]
        for_several = sum(odd) / count - VOTE * self._votes([*heads_of(self._groups, whole), *rest])
        for_one = float(typical.oddity(seen.sums[[one]])[0]) - VOTE * self._votes(group.parts)
        return bool(for_one + CAUTION > for_several)

    def _votes(self, objects: Iterable[int]) -> int:
        """Tiles that saw any of these whole."""
        return len({int(self._seen.tile[k]) for k in objects if not self._seen.is_cut[k]})

    def _remainder(self, group: _Group, one: int, parts: list[int]) -> int:
        """Area of what an object has beyond its parts; 0 when that is no object."""
        left = int(self._seen.sums[one, AREA]) - sum(group.parts[one].get(part, 0) for part in parts)
        return left if left >= REMAINDER * (self._typical.area_px or self._seen.sums[one, AREA]) else 0

    def _area(self, place: int) -> int:
        return int(self._seen.sums[self._groups[place].members[0], AREA])

    def _is_cut(self, place: int) -> bool:
        return bool(self._seen.is_cut[self._groups[place].members[0]])


def heads_of(groups: list[_Group], places: list[int]) -> list[int]:
    """All objects of some groups."""
    return [k for place in places for k in groups[place].members]
