"""Random spanning trees of blocks, and the best cut of each: the loops that numba compiles, where it is installed.

Every function here runs as it stands on lists, and compiled on arrays of the same numbers; both draw the same random
numbers and add in the same order, so the plan is the same. Hence plain loops, numbers from a generator of our own, and
tuples instead of objects: ``ground`` is (start, near, metres, cost, load, area, rim, home, hold) and ``room`` the
scratch space of :mod:`gridgis.plan.sharing.loops`; ``rule`` is (target, band, limit, mean area, side of a square grid,
weights of load, compactness, wide ground and border, price of leaving). ``home`` is the grid that a block comes from
(-1: none), ``hold`` what it counts for when it leaves that.
"""

from __future__ import annotations

from typing import Any

#: What the load of a grid costs, times the weight of load: leaving the band of the norm (per deviation beyond it, and
#: squared), leaving the tolerance, and the squared deviation. The other weights are those of the profile; ground counts
#: beyond WIDE mean areas (where nobody lives, loads alone would leave one grid all the ground).
W_BAND, W_BAND_SQUARED, W_OFF, W_DEVIATION = 2.0, 20.0, 3.0, 1.0
WIDE = 2.0

#: Less than this is no improvement.
LEAST = 1e-7

_FOUR_PI = 12.566370614359172


def draw(state: Any) -> float:
    """The next random number above 0 and below 1 (Park & Miller 1988, multiplier 48271)."""
    state[0] = state[0] * 48271 % 2147483647
    return float(state[0] / 2147483647.0)


def price(load: float, area: float, rim: float, parts: int, rule: Any) -> float:
    """What ground that is to be `parts` grids costs, without its borders."""
    off = abs(load / (parts * rule[0]) - 1.0)
    cost = W_DEVIATION * off * off
    if off > rule[1]:
        over = off - rule[1]
        cost += W_BAND * over + W_BAND_SQUARED * over * over
    if off > rule[2]:
        cost += W_OFF
    cost *= rule[5]
    wide = area / (parts * rule[3]) - WIDE
    if wide > 0.0:
        cost += rule[7] * wide * wide
    return float(parts * cost + rule[6] * (rim * rim / (_FOUR_PI * area) - 1.0))


def push(room: Any, size: int, key: float, node: int, via: int) -> int:
    """Put an edge into the heap of `size` edges; its new size."""
    keys, nodes, vias = room[0], room[1], room[2]
    at = size
    while at > 0:
        up = (at - 1) // 2
        if keys[up] <= key:
            break
        keys[at], nodes[at], vias[at] = keys[up], nodes[up], vias[up]
        at = up
    keys[at], nodes[at], vias[at] = key, node, via
    return size + 1


def pop(room: Any, size: int) -> int:
    """Drop the first edge of the heap; its new size."""
    keys, nodes, vias = room[0], room[1], room[2]
    size -= 1
    key, node, via = keys[size], nodes[size], vias[size]
    at = 0
    while True:
        down = 2 * at + 1
        if down >= size:
            break
        if down + 1 < size and keys[down + 1] < keys[down]:
            down += 1
        if keys[down] >= key:
            break
        keys[at], nodes[at], vias[at] = keys[down], nodes[down], vias[down]
        at = down
    keys[at], nodes[at], vias[at] = key, node, via
    return size


def grow(ground: Any, mark: int, root: int, lean: int, state: Any, room: Any) -> int:
    """A random spanning tree of the marked blocks that hang together with `root` (Prim, random keys); how many.

    The keys of strong barriers are larger, so that a tree crosses them seldom and one cut runs along them.
    """
    start, near, metres, cost = ground[0], ground[1], ground[2], ground[3]
    order, parent, depth, inside = room[3], room[4], room[5], room[6]
    count, size = 0, push(room, 0, 0.0, root, -1)
    while size > 0:
        node, via = room[1][0], room[2][0]
        size = pop(room, size)
        if inside[node] != mark:
            continue
        inside[node] = -mark
        parent[node] = via
        depth[node] = depth[via] + 1 if via >= 0 else 0
        order[count] = node
        count += 1
        for edge in range(start[node], start[node + 1]):
            if inside[near[edge]] == mark:
                key = draw(state)
                for _ in range(lean):
                    key *= metres[edge] / cost[edge]
                size = push(room, size, key, near[edge], node)
    for i in range(count):
        inside[order[i]] = mark
    return count


def add_up(ground: Any, mark: int, count: int, room: Any) -> None:
    """For each block of the tree the sums over its branch: load, area, metres around, and metres and cost cut off."""
    start, near, metres, cost = ground[0], ground[1], ground[2], ground[3]
    order, parent, depth, inside = room[3], room[4], room[5], room[6]
    load, area, rim, cut, paid = room[7], room[8], room[9], room[10], room[11]
    for i in range(count):
        node = order[i]
        load[node], area[node], rim[node] = ground[4][node], ground[5][node], ground[6][node]
        cut[node] = paid[node] = 0.0
    for i in range(count):
        node = order[i]
        for edge in range(start[node], start[node + 1]):
            other = near[edge]
            if inside[other] != mark:
                continue
            cut[node] += metres[edge]
            paid[node] += cost[edge]
            if node < other:  # from where both ends are in the branch on, this border is cut by nothing
                one, two = node, other
                while one != two:
                    if depth[one] >= depth[two]:
                        one = parent[one]
                    else:
                        two = parent[two]
                cut[one] -= 2.0 * metres[edge]
                paid[one] -= 2.0 * cost[edge]
                rim[one] -= 2.0 * metres[edge]
    for i in range(count - 1, 0, -1):
        node = order[i]
        up = parent[node]
        load[up] += load[node]
        area[up] += area[node]
        rim[up] += rim[node]
        cut[up] += cut[node]
        paid[up] += paid[node]


def add_homes(ground: Any, count: int, homes: Any, room: Any) -> float:
    """For each block of the tree what its branch holds of the first and of the second home; what the whole holds."""
    home, hold = ground[7], ground[8]
    order, parent, one, two = room[3], room[4], room[20], room[21]
    whole = 0.0
    for i in range(count):
        node = order[i]
        whole += hold[node]
        one[node] = hold[node] if home[node] == homes[0] else 0.0
        two[node] = hold[node] if home[node] == homes[1] else 0.0
    for i in range(count - 1, 0, -1):
        node = order[i]
        one[parent[node]] += one[node]
        two[parent[node]] += two[node]
    return whole


def best_cut(
    ground: Any, mark: int, root: int, parts: int, trees: int, rule: Any, state: Any, room: Any, homes: Any = (-1, -1)
) -> Any:
    """Cut the marked ground for `parts` grids in two, the best of all edges of `trees` trees.

    Where `homes` are two grids, what would leave them is paid for. Returns the price (-1: one block only) and the parts
    of the first side, whose blocks are 1 in ``room[12]``.
    """
    order, parent, side = room[3], room[4], room[12]
    load, area, rim, cut, paid = room[7], room[8], room[9], room[10], room[11]
    one, two = room[20], room[21]
    stay, whole = rule[9] if homes[0] >= 0 else 0.0, 0.0
    best, share, first = -1.0, 0, root
    least = max(1, parts // 3)
    for number in range(trees):
        count = grow(ground, mark, first, number % 3, state, room)
        add_up(ground, mark, count, room)
        if stay > 0.0:
            whole = add_homes(ground, count, homes, room)
        top, found = first, -1
        for i in range(1, count):
            node = order[i]
            fair = int(load[node] * parts / load[top] + 0.5) if load[top] > 0.0 else parts // 2
            fair = min(max(fair, least), parts - least)
            cost = price(load[node], area[node], rim[node], fair, rule)
            if best >= 0.0 and cost >= best:
                continue
            rest = rim[top] - rim[node] + 2.0 * cut[node]
            cost += price(load[top] - load[node], area[top] - area[node], rest, parts - fair, rule)
            cost += 2.0 * rule[8] * paid[node] / rule[4]
            if stay > 0.0:
                cost += stay * (whole - max(one[node] + two[top] - two[node], two[node] + one[top] - one[node]))
            if best < 0.0 or cost < best:
                best, share, found = cost, fair, node
        if found >= 0:
            for i in range(count):
                node = order[i]
                side[node] = 1 if node == found or (i > 0 and side[parent[node]] == 1) else 0
        first = order[int(draw(state) * count)]
    return best, share


def bisect(ground: Any, label: Any, parts: int, trees: int, rule: Any, state: Any, room: Any) -> int:
    """Give the blocks labels 0, 1, … by cutting the ground in two, and these in two, …; how many labels."""
    inside, side, todo, wanted, first = room[6], room[12], room[13], room[14], room[15]
    made, waiting = 1, 1
    todo[0], wanted[0], first[0] = 0, parts, 0
    for block in range(len(label)):
        label[block] = 0
    while waiting > 0:
        waiting -= 1
        grid, parts, root = todo[waiting], wanted[waiting], first[waiting]
        if parts < 2:
            continue
        for block in range(len(label)):
            inside[block] = 1 if label[block] == grid else 0
        best, share = best_cut(ground, 1, root, parts, trees, rule, state, room, (-1, -1))
        if best < 0.0:
            continue
        roots = (-1, -1)
        for block in range(len(label)):
            if inside[block] == 1:
                if side[block] == 1:
                    label[block] = made
                    roots = (roots[0], block)
                else:
                    roots = (block, roots[1])
        todo[waiting], wanted[waiting], first[waiting] = grid, parts - share, roots[0]
        todo[waiting + 1], wanted[waiting + 1], first[waiting + 1] = made, share, roots[1]
        waiting += 2
        made += 1
    for block in range(len(label)):
        inside[block] = 0
    return made


def collect(ground: Any, label: Any, root: int, grids: Any, mark: int, room: Any) -> int:
    """Mark the blocks of the three `grids` (-1: none) that hang together with `root`; their number, in ``room[3]``."""
    start, near, found, inside = ground[0], ground[1], room[3], room[6]
    found[0], count, at = root, 1, 0
    inside[root] = mark
    while at < count:
        node = found[at]
        at += 1
        for edge in range(start[node], start[node + 1]):
            other = near[edge]
            grid = label[other]
            if inside[other] != mark and (grid == grids[0] or grid == grids[1] or grid == grids[2]):
                inside[other] = mark
                found[count] = other
                count += 1
    return count


def measure(ground: Any, label: Any, count: int, room: Any, grids: Any, sums: Any) -> float:
    """Load, area, rim of the blocks ``room[3][:count]`` by grid, into `sums` (3 x 3); the cost of borders between."""
    start, near, metres, cost = ground[0], ground[1], ground[2], ground[3]
    paid = 0.0
    for i in range(9):
        sums[i] = 0.0
    for i in range(count):
        node = room[16][i]
        grid = label[node]
        at = 0 if grid == grids[0] else 3 if grid == grids[1] else 6
        sums[at] += ground[4][node]
        sums[at + 1] += ground[5][node]
        sums[at + 2] += ground[6][node]
        for edge in range(start[node], start[node + 1]):
            other = label[near[edge]]
            if other == grid:
                sums[at + 2] -= metres[edge]
            elif other == grids[0] or other == grids[1] or other == grids[2]:
                paid += cost[edge]
    return paid / 2.0


def worth(ground: Any, label: Any, count: int, room: Any, grids: Any, rule: Any) -> float:
    """The price of the two or three `grids`, whose blocks are ``room[16][:count]``, and of the borders between."""
    sums = room[17]
    paid = measure(ground, label, count, room, grids, sums)
    cost = 2.0 * rule[8] * paid / rule[4]
    for at in (0, 3, 6):
        if sums[at + 1] > 0.0:
            cost += price(sums[at], sums[at + 1], sums[at + 2], 1, rule)
    return float(cost)


def recombine(ground: Any, label: Any, first: Any, todo: Any, trees: int, rule: Any, state: Any, room: Any) -> int:
    """Merge and cut anew, one after the other, the pairs and triples of grids in `todo` (three each, -1: a pair).

    Only what lowers the price is kept. ``room[18]`` says which grids changed; returns how often. `first` has a block
    of each grid.
    """
    inside, side, blocks, new, changed = room[6], room[12], room[16], room[19], room[18]
    kept = 0
    for task in range(0, len(todo), 3):
        grids = (todo[task], todo[task + 1], todo[task + 2])
        count = collect(ground, label, first[grids[0]], grids, 1, room)
        for i in range(count):
            blocks[i] = room[3][i]
        present = 3 if grids[2] >= 0 else 2
        if how_many(label, count, blocks, grids) == present and count > 1:
            before = worth(ground, label, count, room, grids, rule)
            after = cut_up(ground, label, first[grids[0]], count, grids, trees, rule, state, room)
            if after >= 0.0:
                taken = matched(ground, label, count, blocks, new, grids, rule)
                if rule[9] > 0.0:
                    before += rule[9] * away(ground, label, count, blocks, (0, 0, 0), (-1, -1, -1))
                    after = worth(ground, new, count, room, (0, 1, 2), rule)
                    after += rule[9] * away(ground, new, count, blocks, taken, grids)
                if after < before - LEAST:
                    relabel(label, first, count, blocks, new, taken, grids)
                    kept += 1
                    for i in range(present):
                        changed[grids[i]] = 1
        for i in range(count):
            inside[blocks[i]] = side[blocks[i]] = 0
            new[blocks[i]] = -1
    return kept


def how_many(label: Any, count: int, blocks: Any, grids: Any) -> int:
    """How many of the `grids` have one of the blocks."""
    one = two = three = 0
    for i in range(count):
        grid = label[blocks[i]]
        if grid == grids[0]:
            one = 1
        elif grid == grids[1]:
            two = 1
        else:
            three = 1
    return one + two + three


def cut_up(
    ground: Any, label: Any, root: int, count: int, grids: Any, trees: int, rule: Any, state: Any, room: Any
) -> float:
    """Cut the marked blocks anew into as many as there are `grids`: 0, 1, 2 in ``room[19]``; the price (-1: none)."""
    inside, side, blocks, new = room[6], room[12], room[16], room[19]
    parts = 3 if grids[2] >= 0 else 2
    homes = (grids[0], grids[1]) if parts == 2 else (-1, -1)
    best, share = best_cut(ground, 1, root, parts, trees, rule, state, room, homes)
    if best < 0.0:
        return -1.0
    for i in range(count):
        new[blocks[i]] = side[blocks[i]]
    if parts == 2:
        return float(best)
    larger = 1 if share == 2 else 0
    root = -1
    for i in range(count):
        if new[blocks[i]] == larger:
            inside[blocks[i]] = 2
            root = blocks[i]
    best, share = best_cut(ground, 2, root, 2, trees, rule, state, room, (-1, -1))
    if best < 0.0:
        return -1.0
    for i in range(count):
        if inside[blocks[i]] == 2 and side[blocks[i]] == 1:
            new[blocks[i]] = 2
    return worth(ground, new, count, room, (0, 1, 2), rule)


def matched(ground: Any, label: Any, count: int, blocks: Any, new: Any, grids: Any, rule: Any) -> Any:
    """Which of the `grids` each part 0, 1, 2 continues: that with which it shares most load (then most blocks).

    Where staying counts, that from which most of it comes.
    """
    parts = 3 if grids[2] >= 0 else 2
    taken = (-1, -1, -1)
    for _ in range(parts):
        most, pair = -1.0, (0, 0)
        for part in range(parts):
            for at in range(parts):
                if taken[part] >= 0 or at == taken[0] or at == taken[1] or at == taken[2]:
                    continue
                shared = 0.0
                for i in range(count):
                    block = blocks[i]
                    if new[block] == part:
                        if rule[9] > 0.0:
                            if ground[7][block] == grids[at]:
                                shared += ground[8][block]
                        elif label[block] == grids[at]:
                            shared += ground[4][block] + 1e-3
                if shared > most:
                    most, pair = shared, (part, at)
        part, at = pair
        taken = (
            at if part == 0 else taken[0],
            at if part == 1 else taken[1],
            at if part == 2 else taken[2],
        )
    return taken


def away(ground: Any, label: Any, count: int, blocks: Any, taken: Any, grids: Any) -> float:
    """What the blocks hold that are not at home; `taken` and `grids` turn parts into grids (grids of -1: no parts)."""
    sum_ = 0.0
    for i in range(count):
        block = blocks[i]
        grid = label[block]
        if grids[0] >= 0:
            grid = grids[taken[grid]]
        if grid != ground[7][block]:
            sum_ += ground[8][block]
    return sum_


def relabel(label: Any, first: Any, count: int, blocks: Any, new: Any, taken: Any, grids: Any) -> None:
    """Turn the parts 0, 1, 2 into the grids that they continue."""
    for i in range(count):
        block = blocks[i]
        grid = grids[taken[new[block]]]
        label[block] = grid
        first[grid] = block
