"""Boundary search, as method §4 writes it down."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from skipthink.core.options import Anneal, Greedy, Method, to_method
from skipthink.core.search import check_count, check_number, check_positive
from skipthink.reference.checks import check_search_options, read_lengths, read_search
from skipthink.reference.random import SplitMix64

Rows = Sequence[Sequence[float]]
Cost = Callable[[int, int, int], float]
RunningCosts = Callable[[int, int], list[float]]
Charge = Callable[[int], float]


def average_boundaries(n_steps: Sequence[int], M: int) -> list[list[int]]:
    """Average chunks: the first `K mod M` chunks get one step more."""
    check_positive("M", M)
    rows = []
    for k in read_lengths("n_steps", n_steps, "a number of steps is not negative"):
        sizes = [k // M + (1 if chunk < k % M else 0) for chunk in range(M)]
        rows.append([sum(sizes[:chunk]) for chunk in range(M + 1)])
    return rows


def chunk(
    losses: Sequence[Sequence[float] | Rows],
    M: int,
    eta: float = 0.1,
    *,
    method: Method = "greedy",
    objective: str = "mean",
    balance: float = 0.0,
    n_tokens: Rows | None = None,
    end_losses: Sequence[Rows] | None = None,
    min_steps: int = 1,
    init: Sequence[Sequence[int]] | None = None,
    seed: int = 0,
    first_row: int = 0,
) -> tuple[list[list[int]], list[float], list[float]]:
    """Boundaries, J and J of the start, a row each; arguments, and errors, as in `skipthink.chunk`."""
    check_positive("M", M)
    search = to_method(method)
    given = read_search(losses, M, n_tokens, end_losses, init)
    eta = check_number("eta", eta)
    for name, count in (("min_steps", min_steps), ("seed", seed), ("first_row", first_row)):
        check_count(name, count)
    balance = check_number("balance", balance)
    check_search_options(objective, balance, eta)
    boundaries, objectives, initials = [], [], []
    for row, row_losses in enumerate(given.losses):
        weights = [1.0] * len(row_losses) if given.weights is None else given.weights[row]
        ends = None if given.ends is None else given.ends[row]
        k = len(row_losses)
        searched = to_shares(row_losses, weights, M) if objective == "mass" else row_losses
        charge = make_charge(balance, k, M)
        cost = make_cost(searched, weights, ends, objective, charge)
        running = make_running_costs(
            searched, weights, ends, objective, charge, weighted=given.weights is not None
        )
        start = average_boundaries([k], M)[0] if given.init is None else given.init[row]
        best = list(start)
        if M > 1 and k >= M * min_steps:
            if isinstance(search, Greedy):
                best = greedy(start, cost, objective, eta, min_steps, search)
            elif isinstance(search, Anneal):
                random = SplitMix64.of_row(seed, first_row + row)
                best = anneal(start, cost, objective, min_steps, random, search)
            elif search == "optimal":
                best = optimal(k, M, running, objective, min_steps)
            # greedy has asked eta of each of its moves already
            gain = running_total(start, running, objective) - running_total(best, running, objective)
            if not isinstance(search, Greedy) and not gain > eta:
                best = start
        boundaries.append(best)
        objectives.append(running_total(best, running, objective))
        initials.append(running_total(start, running, objective))
    return boundaries, objectives, initials


def make_charge(balance: float, k: int, M: int) -> Charge:
    """What a chunk of n of the k steps costs for its length: λ · (n · M / k - 1)²."""

    def charge(n: int) -> float:
        off = (n * M / k if k > 0 else 0.0) - 1.0
        return balance * (off * off)

    return charge


def to_shares(losses: Sequence[float] | Rows, weights: Sequence[float], M: int) -> Sequence[float] | Rows:
    """Losses that are scaled so that an even share of the row's loss among M chunks is 1; all 0 for a row without."""
    rows: list[list[float]] = [[*value] if isinstance(value, Sequence) else [value] for value in losses]
    mass = 0.0
    for stages, weight in zip(rows, weights, strict=True):
        summed = 0.0
        for one in stages:
            summed += abs(one)
        mass += weight * (summed / len(stages))
    factor = M / mass if mass > 0 else 0.0
    factor = factor if math.isfinite(factor) else 0.0
    scaled = [[one * factor for one in stages] for stages in rows]
    if losses and not isinstance(losses[0], Sequence):
        return [stages[0] for stages in scaled]
    return scaled


def make_cost(
    losses: Sequence[float] | Rows,
    weights: Sequence[float],
    ends: Rows | None,
    objective: str,
    charge: Charge,
) -> Cost:
    """The cost of chunk m (0-based) over steps i … j - 1, summed anew each time."""

    def loss(step: int, m: int) -> float:
        value = losses[step]
        return float(value[m] if isinstance(value, Sequence) else value)

    def cost(m: int, i: int, j: int) -> float:
        return cost_of_losses(m, i, j) + charge(j - i)

    def cost_of_losses(m: int, i: int, j: int) -> float:
        weight = math.fsum(weights[i:j])
        mass = math.fsum(weights[step] * loss(step, m) for step in range(i, j))
        if objective == "variance":
            if j - i < 2:  # one step does not deviate, whatever the rounding of its mean
                return 0.0
            mean = mass / weight if weight > 0 else 0.0
            return math.fsum(weights[step] * (loss(step, m) - mean) ** 2 for step in range(i, j))
        if objective == "mass":
            return (mass - 1.0) * (mass - 1.0)
        if ends is not None:
            return (mass + ends[j][m]) / (weight + 1)
        return mass / weight if weight > 0 else 0.0

    return cost


def make_running_costs(
    losses: Sequence[float] | Rows,
    weights: Sequence[float],
    ends: Rows | None,
    objective: str,
    charge: Charge,
    *,
    weighted: bool,
) -> RunningCosts:
    """The costs of chunk m (0-based) that ends at `end`, by start, each from the one that is a step shorter.

    Nothing is subtracted from a larger sum. The core computes the same in the same order, so ties are ties in both.
    """

    def loss(step: int, m: int) -> float:
        value = losses[step]
        return float(value[m] if isinstance(value, Sequence) else value)

    def deviations(m: int, end: int) -> list[float]:
        weight = mean = mass = squares = 0.0
        costs = [0.0]
        for start in range(end - 1, -1, -1):
            x, n = loss(start, m), end - start
            if weighted:
                share = weights[start] / (weight + weights[start]) if weight + weights[start] > 0 else 0.0
                off = x - mean
                squares += off * off * (weight * share)
                weight += weights[start]
                mean += off * share
            else:
                off = x - mass * (1 / (n - 1) if n > 1 else 0.0)
                squares += off * off * ((n - 1) / n)
                mass += x
            costs.insert(0, squares)
        return costs

    def means(m: int, end: int) -> list[float]:
        mass, weight = (0.0, 0.0) if ends is None else (ends[end][m], 1.0)
        costs = [mass / weight if weight > 0 else 0.0]
        for start in range(end - 1, -1, -1):
            mass += weights[start] * loss(start, m)
            weight += weights[start]
            costs.insert(0, mass / weight if weight > 0 else 0.0)
        return costs

    def shares(m: int, end: int) -> list[float]:
        mass, costs = 0.0, [1.0]
        for start in range(end - 1, -1, -1):
            mass += weights[start] * loss(start, m)
            costs.insert(0, (mass - 1.0) * (mass - 1.0))
        return costs

    kinds = {"variance": deviations, "mass": shares}

    def charged(m: int, end: int) -> list[float]:
        costs = kinds.get(objective, means)(m, end)
        return [cost + charge(end - start) for start, cost in enumerate(costs)]

    return charged


def running_total(boundaries: Sequence[int], running: RunningCosts, objective: str) -> float:
    """J from running costs."""
    return total(boundaries, lambda m, i, j: running(m, j)[i], objective)


def total(boundaries: Sequence[int], cost: Cost, objective: str) -> float:
    """J: the sum of the chunks' costs, or the worst of them."""
    costs = [cost(m, boundaries[m], boundaries[m + 1]) for m in range(len(boundaries) - 1)]
    if objective == "max":
        return max(costs)
    joined = 0.0
    for one in costs:  # not `sum`, which rounds otherwise from Python 3.12 on
        joined += one
    return joined


def greedy(
    start: list[int], cost: Cost, objective: str, eta: float, min_steps: int, options: Greedy
) -> list[int]:
    """Merge two adjacent chunks, try the cut points, accept what gains more than eta; left to right."""
    boundaries = list(start)
    for _ in range(options.max_sweeps):
        moved = False
        for cut in range(1, len(boundaries) - 1):
            candidates = range(boundaries[cut - 1] + min_steps, boundaries[cut + 1] - min_steps + 1)
            judged = [(judge(boundaries, cut, at, cost, objective, options.scope), at) for at in candidates]
            current = judge(boundaries, cut, boundaries[cut], cost, objective, options.scope)
            if judged and current - min(judged)[0] > eta:
                boundaries[cut] = min(judged)[1]
                moved = True
        if not moved:
            break
    return boundaries


def judge(boundaries: list[int], cut: int, at: int, cost: Cost, objective: str, scope: str) -> float:
    """The loss a candidate is judged by: of the left chunk, of the pair, or (max) of the whole row."""
    if scope == "left":
        return cost(cut - 1, boundaries[cut - 1], at)
    if objective == "max":
        return total([*boundaries[:cut], at, *boundaries[cut + 1 :]], cost, objective)
    return cost(cut - 1, boundaries[cut - 1], at) + cost(cut, at, boundaries[cut + 1])


def optimal(k: int, M: int, running: RunningCosts, objective: str, min_steps: int) -> list[int]:
    """Dynamic programme over (stage, step); ties: the largest start of each chunk, from the last one backwards."""
    nothing = -math.inf if objective == "max" else 0.0
    best: list[dict[int, tuple[float, int]]] = [{0: (nothing, 0)}]
    for m in range(M):
        layer: dict[int, tuple[float, int]] = {}
        for end in range(k + 1):
            costs = running(m, end)
            for start in sorted(best[m]):
                if end - start < min_steps:
                    break
                before = best[m][start][0]
                joined = max(before, costs[start]) if objective == "max" else before + costs[start]
                if end not in layer or joined <= layer[end][0]:
                    layer[end] = (joined, start)
        best.append(layer)
    boundaries = [k]
    for m in range(M, 0, -1):
        boundaries.insert(0, best[m][boundaries[0]][1])
    return boundaries


def anneal(
    start: list[int],
    cost: Cost,
    objective: str,
    min_steps: int,
    random: SplitMix64,
    options: Anneal,
) -> list[int]:
    """Shift one random boundary by ±1 … ±width, geometric cooling; the best state met."""
    moves, width, first, last = options.moves, options.width, options.start, options.end
    state, best = list(start), list(start)
    for move in range(moves):
        cut = 1 + random.next_u64() % (len(state) - 2)
        drawn = random.next_u64() % (2 * width)
        unit = random.next_unit()
        at = state[cut] + (drawn - width if drawn < width else drawn - width + 1)
        if at < state[cut - 1] + min_steps or at > state[cut + 1] - min_steps:
            continue
        change = judge(state, cut, at, cost, objective, "pair") - judge(
            state, cut, state[cut], cost, objective, "pair"
        )
        temperature = first if moves == 1 else first * (last / first) ** (move / (moves - 1))
        if change <= 0 or unit < math.exp(-change / temperature):
            state[cut] = at
            if total(state, cost, objective) < total(best, cost, objective):
                best = list(state)
    return best
