"""Single blocks moved and swapped between neighbouring grids: loops like those of :mod:`gridgis.plan.sharing.trees`.

``sums`` has load, area and metres around of each grid, one after the other; `first` a block of each grid.
"""

from __future__ import annotations

from typing import Any

from gridgis.plan.sharing.trees import LEAST, price


def gain(ground: Any, label: Any, block: int, goal: int, sums: Any, rule: Any) -> float:
    """By how much the price falls if `block` moves to the grid `goal`; `sums` has load, area, rim of each grid."""
    start, near, metres, cost = ground[0], ground[1], ground[2], ground[3]
    here = label[block]
    own = there = paid = 0.0
    for edge in range(start[block], start[block + 1]):
        other = label[near[edge]]
        if other == here:
            own += metres[edge]
            paid += cost[edge]
        elif other == goal:
            there += metres[edge]
            paid -= cost[edge]
    load, area, rim = ground[4][block], ground[5][block], ground[6][block]
    a, b = 3 * here, 3 * goal
    before = price(sums[a], sums[a + 1], sums[a + 2], 1, rule) + price(sums[b], sums[b + 1], sums[b + 2], 1, rule)
    after = price(sums[a] - load, sums[a + 1] - area, sums[a + 2] - rim + 2.0 * own, 1, rule)
    after += price(sums[b] + load, sums[b + 1] + area, sums[b + 2] + rim - 2.0 * there, 1, rule)
    fall = before - after - 2.0 * rule[8] * paid / rule[4]
    if ground[7][block] == here:
        fall -= rule[9] * ground[8][block]
    elif ground[7][block] == goal:
        fall += rule[9] * ground[8][block]
    return float(fall)


def can_leave(ground: Any, label: Any, block: int, room: Any) -> bool:
    """Whether the grid of `block` stays in one piece, and not empty, without it."""
    start, near, found, inside = ground[0], ground[1], room[3], room[6]
    here, wanted, count = label[block], 0, 0
    for edge in range(start[block], start[block + 1]):
        other = near[edge]
        if label[other] == here:
            wanted += 1
            if count == 0:
                found[0], count = other, 1
    if wanted < 2:
        return wanted == 1
    inside[block], inside[found[0]], at, reached = 1, 1, 0, 0
    while at < count and reached < wanted:
        node = found[at]
        at += 1
        for edge in range(start[node], start[node + 1]):
            other = near[edge]
            if other == block:
                reached += 1
            elif label[other] == here and inside[other] != 1:
                inside[other] = 1
                found[count] = other
                count += 1
    inside[block] = 0
    for i in range(count):
        inside[found[i]] = 0
    return reached == wanted


def shift(ground: Any, label: Any, first: Any, block: int, goal: int, sums: Any) -> None:
    """Move `block` to the grid `goal`."""
    start, near, metres = ground[0], ground[1], ground[2]
    here = label[block]
    own = there = 0.0
    for edge in range(start[block], start[block + 1]):
        other = near[edge]
        if label[other] == here:
            own += metres[edge]
            if first[here] == block:
                first[here] = other
        elif label[other] == goal:
            there += metres[edge]
    sums[3 * here] -= ground[4][block]
    sums[3 * here + 1] -= ground[5][block]
    sums[3 * here + 2] += 2.0 * own - ground[6][block]
    sums[3 * goal] += ground[4][block]
    sums[3 * goal + 1] += ground[5][block]
    sums[3 * goal + 2] += ground[6][block] - 2.0 * there
    label[block] = goal


def move(ground: Any, label: Any, first: Any, sums: Any, rule: Any, room: Any) -> int:
    """Move single blocks to the neighbouring grid that lowers the price most, once around; how many moved."""
    start, near, changed = ground[0], ground[1], room[18]
    moved = 0
    for block in range(len(label)):
        here, goal, most = label[block], -1, LEAST
        for edge in range(start[block], start[block + 1]):
            other = label[near[edge]]
            if other != here and other != goal and sums[3 * here + 1] > 1.000001 * ground[5][block]:
                fall = gain(ground, label, block, other, sums, rule)
                if fall > most:
                    goal, most = other, fall
        if goal >= 0 and can_leave(ground, label, block, room):
            shift(ground, label, first, block, goal, sums)
            changed[here] = changed[goal] = 1
            moved += 1
    return moved


def swap(ground: Any, label: Any, first: Any, sums: Any, rule: Any, room: Any) -> int:
    """Exchange two blocks between neighbouring grids where that lowers the price, once around; how many times."""
    start, near, changed = ground[0], ground[1], room[18]
    swapped = 0
    for block in range(len(label)):
        for edge in range(start[block], start[block + 1]):
            here, goal = label[block], label[near[edge]]
            if goal == here or not can_leave(ground, label, block, room):
                continue
            lost = gain(ground, label, block, goal, sums, rule)
            shift(ground, label, first, block, goal, sums)
            back = partner(ground, label, block, here, goal, LEAST - lost, sums, rule, room)
            if back >= 0:
                shift(ground, label, first, back, here, sums)
                changed[here] = changed[goal] = 1
                swapped += 1
            else:
                shift(ground, label, first, block, here, sums)
    return swapped


def partner(
    ground: Any, label: Any, block: int, here: int, goal: int, least: float, sums: Any, rule: Any, room: Any
) -> int:
    """A block near `block` that lowers the price by more than `least` if it goes from `goal` to `here`; -1: none."""
    start, near = ground[0], ground[1]
    for edge in range(start[block], start[block + 1]):
        middle = near[edge]
        for way in range(start[middle], start[middle + 1]):
            other = near[way]
            if other == block or label[other] != goal:
                continue
            beside = False
            for step in range(start[other], start[other + 1]):
                beside = beside or label[near[step]] == here
            good = beside and gain(ground, label, other, here, sums, rule) > least
            if good and can_leave(ground, label, other, room):
                return int(other)
    return -1
