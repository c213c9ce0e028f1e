"""A study: rates are tuned on validation, then all methods are compared on the test split (docs/how-to/compare.md).

A study is a series of ordinary runs in one folder. Each takes over what earlier ones have trained with the same inputs,
so nothing is trained twice, and a killed study goes on like any run:

    tune-RATE     a rate of `study.rates`; the methods of `study.tuned_with`, evaluated on validation
    sweep-RATE    a multiple of the tuned rate; all methods, evaluated on validation
    test-sSEED    a seed; all methods, each at the rate that it did best with, evaluated on the test split

Rates are tuned with Base and answer-only alone, and every method then gets the same small sweep: no method is tuned
more than another. All methods have the same seeds. Where the recipe says how to `choose` a student, each run on the
test split does so among its own; runs that tune answer the validation questions to find rates, and choose nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skipthink.exceptions import RecipeError, RunError
from skipthink.inspection.layout import STUDY_FILE
from skipthink.io.files import write_json, write_text
from skipthink.io.progress import Display
from skipthink.options import OptionError
from skipthink.run.comparing import TEST_RUN, compare_runs, format_comparison, untested
from skipthink.run.pools import Engine
from skipthink.run.ranks import Ranks
from skipthink.run.recipe import Recipe
from skipthink.run.run_files import RunFiles
from skipthink.run.runner import run_recipe


@dataclass
class Study:
    """A study of a recipe in a folder.

    Attributes:
        recipe: the recipe; its `study` says what is tried.
        out: the folder of the study.
        display: where progress is shown.
        findings: what is known by now, the content of `study.json`.
        engine: what works on the jobs; None: processes of this machine.
        files: how files get to those who work on jobs; None: the folder is all there is.
    """

    recipe: Recipe
    out: Path
    display: Display
    findings: dict[str, Any] = field(default_factory=lambda: {"schema": 1})
    engine: Engine | None = None
    files: RunFiles | None = None

    def run(self) -> dict[str, Any]:
        """Runs what is not finished, the cheapest first.

        Returns:
            The content of `study.json`: `methods` and `seeds` that are to be tested, `tune` and `sweep` (accuracies on
            validation by rate and method), `tuned_rate`, `rates` (of each method) and `comparison` (see
            `compare_runs`).

        Raises:
            RecipeError: as in `plan`.
            RunError: several processes, or a run that failed.
        """
        if Ranks.of_environment().n_ranks > 1:
            raise RunError("a study is a series of runs in one process: start it without torchrun")
        import scipy  # noqa: F401 - asked for at the end: it is better missed before hours of training

        for line in self.plan():
            self.display.line(line)
        self._begin()
        tuned = self._tune()
        rates = self._sweep(tuned)
        for seed in self.recipe.seeds:
            self._run(self._test_folder(seed), final_recipe(self.recipe, rates, tuned, seed))
            self._compare()
        return self.findings

    def plan(self) -> Iterator[str]:
        """The runs of the study in words, one line each.

        Raises:
            RecipeError: the recipe has rates of its own for single methods, or one of the runs cannot have its recipe.
        """
        refuse_own_rates(self.recipe)
        refuse_recipes(self.recipe)
        study = self.recipe.study
        methods = ", ".join(method.name for method in self.recipe.chosen)
        if len(study.rates) > 1:
            yield f"tune   {', '.join(study.tuned_with)} at rates {_listed(study.rates)}, seeds {_listed(study.seeds)}"
        if len(study.factors) > 1:
            yield f"sweep  {methods} at {_listed(study.factors)} times the tuned rate, seeds {_listed(study.seeds)}"
        yield f"test   {methods} at the best rate of each, seeds {_listed(self.recipe.seeds)}"

    def _begin(self) -> None:
        """Notes what is to be tested, so that a comparison can say what is missing."""
        self.findings["methods"] = [method.name for method in self.recipe.chosen]
        self.findings["seeds"] = list(self.recipe.seeds)
        if not (self.out / STUDY_FILE).exists():  # else it holds what is known by now: it stays until more is
            self.out.mkdir(parents=True, exist_ok=True)
            write_json(self.out / STUDY_FILE, self.findings)

    def _tune(self) -> float:
        """The rate that the methods of `tuned_with` do best with on average; the lowest of several."""
        study = self.recipe.study
        rates = rates_of(self.recipe)
        if len(rates) > 1:
            found = {
                rate: self._run(
                    self.out / f"tune-{rate:g}", tuning_recipe(self.recipe, rate, study.tuned_with)
                )
                for rate in sorted(rates)
            }
            self.findings["tune"] = _rows(found)
            best = best_rate({rate: math.fsum(by.values()) / len(by) for rate, by in found.items()})
        else:
            best = rates[0]
        self.findings["tuned_rate"] = best
        self._note(f"the tuned rate is {best:g}")
        return best

    def _sweep(self, tuned: float) -> dict[str, float]:
        """The rate that each method does best with; the one nearest to the tuned rate of several."""
        methods = [method.name for method in self.recipe.chosen]
        rates = [float(f"{tuned * factor:.6g}") for factor in sorted(self.recipe.study.factors)]
        if len(rates) > 1:
            # at the tuned rate some students are there already
            order = sorted(rates, key=lambda rate: rate != tuned)
            found = {
                rate: self._run(
                    self.out / f"sweep-{rate:g}", tuning_recipe(self.recipe, rate, self.recipe.methods)
                )
                for rate in order
            }
            self.findings["sweep"] = _rows(found)
            chosen = {
                name: best_rate({rate: by[name] for rate, by in found.items()}, near=tuned)
                for name in methods
            }
        else:
            chosen = dict.fromkeys(methods, rates[0])
        self.findings["rates"] = chosen
        self._note("rates: " + ", ".join(f"{name} {rate:g}" for name, rate in chosen.items()))
        return chosen

    def _run(self, folder: Path, recipe: Recipe) -> dict[str, float]:
        """One run of the study; the accuracy of each method, a mean over seeds."""
        self.display.line(f"\nstudy {self.recipe.name}: {folder.name}")
        others = [other.parent for other in sorted(self.out.glob("*/recipe.yaml")) if other.parent != folder]
        files = (self.files or RunFiles(self.out)).part(folder.name)
        results = run_recipe(
            recipe, files, reuse=others, display=self.display, cheapest_first=True, engine=self.engine
        )
        return {name: found["accuracy"]["mean"] for name, found in results["summary"].items()}

    def _compare(self) -> None:
        """Compares what is tested by now."""
        folders = [folder for seed in self.recipe.seeds if (folder := self._test_folder(seed)).exists()]
        against = next(
            (method.name for method in self.recipe.chosen if method.is_reference), self.recipe.chosen[0].name
        )
        found = compare_runs(folders, against=against)
        found["unfinished"] += untested(self.out, self.findings["methods"], self.recipe.seeds)
        self.findings["comparison"] = found
        table = "\n".join([format_comparison(found), *(f"warning: {text}" for text in found["warnings"])])
        write_text(self.out / "comparison.txt", table + "\n")
        self._note("\n" + table)

    def _test_folder(self, seed: int) -> Path:
        return self.out / f"{TEST_RUN}{seed}"

    def _note(self, line: str) -> None:
        self.display.line(line)
        write_json(self.out / STUDY_FILE, self.findings)
        if self.files is not None:
            self.files.put_words()


def tuning_recipe(recipe: Recipe, rate: float, methods: Sequence[str]) -> Recipe:
    """The recipe of a run that tunes: some methods at one rate, on the validation split, nothing timed or chosen.

    Args:
        recipe: of the study.
        rate: the learning rate of all of them.
        methods: as a recipe names them.
    """
    return recipe.replace(
        methods=tuple(methods),
        seeds=recipe.study.seeds,
        training=recipe.training.replace(learning_rate=rate),
        evaluation=recipe.evaluation.replace(split="validation", alone_questions=0, stage_questions=0),
        # a student is chosen by the validation questions too: here they are the results
        choose=None,
    )


def final_recipe(recipe: Recipe, rates: Mapping[str, float], tuned: float, seed: int) -> Recipe:
    """The recipe of a run on the test split: methods at their own rates, judges that are not compared at the tuned one.

    Args:
        recipe: of the study.
        rates: by the names of the methods.
        tuned: the tuned rate.
        seed: of the run.
    """
    own = {name: dict(changes) for name, changes in recipe.training.methods.items()}
    for name, rate in rates.items():
        own.setdefault(name, {})["learning_rate"] = rate
    return recipe.replace(
        seeds=(seed,),
        training=recipe.training.replace(learning_rate=tuned, methods=own),
        evaluation=recipe.evaluation.replace(split="test"),
    )


def rates_of(recipe: Recipe) -> tuple[float, ...]:
    """The rates that a study tries first; without `study.rates` that of the recipe alone."""
    return recipe.study.rates or (recipe.training.learning_rate,)


def refuse_recipes(recipe: Recipe) -> None:
    """Makes a recipe of every kind of run that a study has: a wrong one shows before any work.

    Raises:
        RecipeError: a run of the study cannot have its recipe; names the kind of run.
    """
    study, rates = recipe.study, rates_of(recipe)
    made: dict[str, Callable[[], Recipe]] = {}
    if len(rates) > 1:
        made["tune"] = lambda: tuning_recipe(recipe, rates[0], study.tuned_with)
    if len(study.factors) > 1:
        made["sweep"] = lambda: tuning_recipe(recipe, rates[0], recipe.methods)
    if made and recipe.data.sizes.validation == 0:
        raise RecipeError(
            "a study finds rates on the validation split, which is empty: data.sizes.validation"
        )
    own = {method.name: rates[0] for method in recipe.chosen}
    made["test"] = lambda: final_recipe(recipe, own, rates[0], recipe.seeds[0])
    for kind, make in made.items():
        try:
            make()
        except OptionError as error:
            raise RecipeError(f"the recipe of the study's runs {kind}-… cannot be made: {error}") from None


def refuse_own_rates(recipe: Recipe) -> None:
    """Refuses rates of single methods, which a study finds.

    Raises:
        RecipeError: there is one.
    """
    for name, changes in recipe.training.methods.items():
        if "learning_rate" in changes:
            raise RecipeError(
                f"training.methods.{name} sets learning_rate, which the study finds for every method; leave it out"
            )


def best_rate(accuracies: Mapping[float, float], *, near: float | None = None) -> float:
    """The rate of the highest accuracy; of several the one nearest to `near` (in ratio), then the lowest."""

    def key(rate: float) -> tuple[float, float, float]:
        return -accuracies[rate], 0.0 if near is None else round(abs(math.log(rate / near)), 9), rate

    return min(accuracies, key=key)


def _rows(found: Mapping[float, Mapping[str, float]]) -> list[dict[str, Any]]:
    return [{"rate": rate, "accuracy": dict(by)} for rate, by in sorted(found.items())]


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
