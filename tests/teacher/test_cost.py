"""Money: exact amounts, a budget that is not exceeded, and what is said of it."""

from collections import Counter
from decimal import Decimal

import pytest

from skipthink.exceptions import InvalidInputError
from skipthink.teacher.cost import Totals, cost_of, exact_text, format_cost, most_cost
from skipthink.teacher.options import PriceOptions
from skipthink.teacher.requests import Reply, Request

PRICES = PriceOptions(input=0.15, output=0.6, cached_input=0.075)


def request(text="1 + 1?", most=100):
    return Request("m", ({"role": "user", "content": text},), {"max_tokens": most, "temperature": 0.0})


def test_amounts_are_exact():
    prices = PriceOptions(input=0.1, output=0.2).exact()
    total = sum(
        (cost_of(prices, request(), Reply("", n_prompt_tokens=1, n_tokens=1)) for _ in range(1000)),
        Decimal(0),
    )
    assert total == Decimal("0.0003")
    assert exact_text(total) == "0.0003"
    assert PriceOptions(input=0.1, budget=5.0).exact().budget == 5


def test_cached_tokens_have_a_price_of_their_own():
    reply = Reply("", n_prompt_tokens=1000, n_cached_tokens=400, n_tokens=500)
    assert cost_of(PRICES.exact(), request(), reply) == Decimal("0.00042")
    assert cost_of(PriceOptions(input=0.15, output=0.6).exact(), request(), reply) == Decimal("0.00045")
    odd = Reply("", n_prompt_tokens=10, n_cached_tokens=400, n_tokens=0)
    assert cost_of(PRICES.exact(), request(), odd) == Decimal("0.00000075")


def test_the_most_a_request_can_cost_is_more_than_it_does():
    one = request("ü" * 1000, most=50)
    assert (
        most_cost(PRICES.exact(), one)
        == (2000 + 16 + 64) * Decimal("0.15") / 1_000_000 + 50 * Decimal("0.6") / 1_000_000
    )
    # a reply that counts nothing is taken for the most that it can be
    assert cost_of(PRICES.exact(), one, Reply("x" * 10_000)) == most_cost(PRICES.exact(), one)


@pytest.mark.parametrize(("amount", "text"), [
    ("0", "0"), ("12.346", "12.35"), ("0.5", "0.50"), ("0.0123", "0.012"), ("0.000123456", "0.00012"), ("1234", "1234.00"),
])  # fmt: skip
def test_amounts_for_people(amount, text):
    assert format_cost(Decimal(amount)) == text


def test_an_estimate_is_the_mean_of_what_there_is():
    totals = Totals()
    for n_tokens in (10, 20):
        totals.add(request(), Reply("", n_prompt_tokens=100, n_tokens=n_tokens), Decimal("0.01"))
    whole = totals.estimate(1000)
    assert (whole.prompt_tokens, whole.tokens, whole.cost) == (100_000, 15_000, Decimal(10))


@pytest.mark.parametrize(("options", "message"), [
    ({"budget": 5.0}, "budget needs prices"),
    ({"input": -1.0}, "input must be at least 0"),
    ({"input": float("nan")}, "input must be"),
])  # fmt: skip
def test_bad_prices(options, message):
    with pytest.raises(InvalidInputError, match=message):
        PriceOptions(**options)


@pytest.mark.parametrize("concurrency", [1, 16])
def test_the_budget_is_not_exceeded_and_can_be_raised(endpoint, sums, options_for, ask, concurrency):
    server = endpoint(delay=0.01)
    base = options_for(server.base_url, concurrency=concurrency)
    # one answer costs about 0.0000675; each can cost 0.000096 at most
    prices = {"input": 0.5, "output": 2.0}
    budget = Decimal("0.001")
    options = base.replace(price=PriceOptions(**prices, budget=float(budget)))
    taught = ask(sums(60), options)
    paid = Decimal(taught.report["store"]["paid"])
    assert paid <= budget
    assert "does not allow another request" in taught.halted
    n_answered = taught.report["answers"]["asked"]["answers"]
    assert 5 < n_answered < 30
    assert n_answered == len(server.requests())
    assert budget - paid < Decimal("0.0004")  # and it is used, but for what the next request might cost
    # the same again: nothing is asked, what others have paid counts too
    again = ask(sums(60), options)
    assert (again.report["answers"]["asked"]["answers"], len(server.requests())) == (0, n_answered)
    more = ask(sums(60), base.replace(price=PriceOptions(**prices, budget=1.0)))
    assert more.halted is None
    assert more.report["kept"] == 60
    assert set(Counter(entry["question"] for entry in server.requests()).values()) == {1}
    assert Decimal(more.report["store"]["paid"]) == paid + Decimal(more.report["answers"]["asked"]["cost"])


def test_attempts_that_may_have_to_be_paid_count(endpoint, sums, options_for, ask):
    server = endpoint(faults={"truncated": 1.0})
    base = options_for(server.base_url, concurrency=2, retries=50, max_wait=0.05)
    taught = ask(sums(20), base.replace(price=PriceOptions(input=0.5, output=2.0, budget=0.004)))
    assert taught.report["answers"]["asked"]["answers"] == 0
    assert "may have to be paid for requests that have no answer" in taught.halted
    assert len(server.requests()) < 40
    assert taught.report["store"]["paid"] == "0"
