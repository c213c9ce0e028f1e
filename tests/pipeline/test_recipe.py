"""Recipes: what is accepted, and what each mistake says."""

from pathlib import Path

import pytest
import yaml
from small_jobs import PLAIN

from skipthink import tasks
from skipthink.exceptions import RecipeError
from skipthink.options import first_difference
from skipthink.run.recipe import load_recipe, parse_recipe

ROOT = Path(__file__).parents[2]
COMPARED = ("answer-only", "base", "base-trim", "stt")
"""What is compared where a recipe names no methods."""

MISTAKES = {
    "unknown key": (PLAIN + "sed: [1]", r"r\.yaml: unknown key sed; did you mean seeds\?"),
    "unknown key in a section": (
        PLAIN + "training: {learning_rat: 1e-3}",
        r"unknown key training\.learning_rat; did you mean training\.learning_rate\?",
    ),
    "unknown key in a method": (
        PLAIN + "training: {methods: {stt: {epoch: 3}}}",
        r"unknown key training\.methods\.stt\.epoch; did you mean training\.methods\.stt\.epochs\?",
    ),
    "unknown key like no other": (
        PLAIN + "xyzzy: 1",
        r"unknown key xyzzy; known keys: answer, choose, chunks",
    ),
    "typo that leaves a key missing": (
        PLAIN.replace("{M: 3}", "{Mm: 3}"),
        r"unknown key chunks\.Mm; .*and 1 more",
    ),
    "missing key": (PLAIN.replace("{M: 3}", "{eta: 0.1}"), r"key chunks\.M is missing"),
    "unknown method": (PLAIN + "methods: [base, sst]", r"methods\.1 is 'sst', but must be 'answer-only'"),
    "method overridden that does not exist": (
        PLAIN + "training: {methods: {bas: {}}}",
        r"unknown key training\.methods\.bas; did you mean training\.methods\.base\?",
    ),
    "option of another method": (
        PLAIN + "training: {methods: {base: {truncate: 0.5}}}",
        r"unknown key training\.methods\.base\.truncate; known keys: activation_checkpointing",
    ),
    "wrong value in a method": (
        PLAIN + "training: {methods: {stt: {skip_weight: 1.5}}}",
        r"training\.methods\.stt\.skip_weight must be at most 1, got 1\.5",
    ),
    "values in a method that do not go together": (
        PLAIN + "training: {bf16: true, methods: {stt: {fp16: true}}}",
        r"training\.methods\.stt\.bf16 is set beside fp16",
    ),
    "wrong value in a section of a section": (
        PLAIN + "training: {lora: {rank: 0}}",
        r"training\.lora\.rank must be at least 1, got 0",
    ),
    "options of a task without one": (
        PLAIN.replace("task: multi_step_arithmetic", "file: a.jsonl, task_options: {n: 1}"),
        r"data\.task_options is given without task",
    ),
    "searched chunks without a search": (
        PLAIN + "methods: [base, base+sbc]",
        r"methods has base\+sbc, .* chunks\.method is average, .*name a search \(chunks\.method: greedy",
    ),
    "another judge where none is asked": (
        PLAIN + "methods: [base, stt, stt-ac]",
        r"methods has stt-ac, which differs from stt by its judge alone, and the gate trial asks none; name a gate with "
        r"a judge \(skip\.gate: answer is the paper's\), or name stt instead",
    ),
    "nothing but answers": (
        PLAIN + "methods: [base, skip-all]",
        r"methods has skip-all, which skips every chunk: with skip_weight: 1 and thought: none it trains on answers "
        r"alone; give it full items or thoughts \(the paper's: .*\), or name answer-only instead",
    ),
    "trials without validation questions": (
        PLAIN.replace("validation: 2", "validation: 0"),
        r"data\.sizes\.validation is 0, and the gate trial of stt decides on validation questions, and there are none: "
        r"data\.sizes\.validation: 200 takes some from training; skip: \{gate: answer\} is the paper's gate, which needs",
    ),
    "method twice": (PLAIN + "methods: [base, base]", r"methods names 'base' twice"),
    "no method": (PLAIN + "methods: []", r"methods must have at least 1 entry, got \[\]"),
    "negative eta": (
        PLAIN.replace("{M: 3}", "{M: 3, eta: -1}"),
        r"chunks\.eta must be at least 0, got -1",
    ),
    "M of zero": (PLAIN.replace("M: 3", "M: 0"), r"chunks\.M must be at least 1, got 0"),
    "M as text": (PLAIN.replace("M: 3", "M: 'three'"), r"chunks\.M is 'three': .*valid integer"),
    "negative seed": (PLAIN + "seeds: [-1]", r"seeds has the negative seed -1"),
    "key twice": (PLAIN + "seeds: [0]\nseeds: [1]", r"key 'seeds' stands twice.*line 7"),
    "no YAML": ("name: [", r"is not a valid recipe"),
    "a Python object": (
        PLAIN + "task: !!python/object/apply:os.getcwd []",
        r"could not determine a constructor",
    ),
    "a list": ("- 1", r"holds list, not sections"),
    "a name that is a path": (
        PLAIN.replace("name: small", "name: ../up"),
        r"name must match .*, got '\.\./up'",
    ),
    "two sources": (
        PLAIN.replace("data: {", "data: {file: a.jsonl, "),
        r"data\.file is given beside task; give one source",
    ),
    "a task without sizes": (
        PLAIN.replace(", test: 2", ""),
        r"data\.sizes lacks a number, but a task needs train, validation and test",
    ),
    "a system text without a chat": (
        PLAIN + "student: {path: gpt2, system: Be brief.}",
        r"student\.system is given, which a plain prompt has no place for; set prompt_format: chat",
    ),
    "a chat without a template": (
        PLAIN + "student: {prompt_format: chat}",
        r"student\.prompt_format is chat, but a student without path has no chat template; give path",
    ),
    "markers of no kind": (
        PLAIN + "student: {markers: text_}",
        r"student\.markers is 'text_', but must be 'tokens' or 'text'",
    ),
    "a loaded student with sizes": (
        PLAIN + "student: {path: gpt2, hidden_size: 8}",
        r"student\.hidden_size is given beside path; a loaded student has its sizes already",
    ),
    "heads that do not fit": (
        PLAIN + "student: {hidden_size: 10, num_heads: 4}",
        r"student\.hidden_size is 10, not a multiple of num_heads, 4",
    ),
    "votes that nobody gives": (
        PLAIN + "skip: {votes: 3, temperature: 0.7}",
        r"skip\.votes is 3, but nobody answers for the gate trial; set gate: answer, or leave it out",
    ),
    "folds that nobody is asked about": (
        PLAIN + "skip: {crossfit: 2}",
        r"skip\.crossfit is 2, but the gate trial asks no judge; set gate: answer, or leave it out",
    ),
    "votes that are all the same": (
        PLAIN + "skip: {gate: answer, votes: 3}",
        r"skip\.votes is 3 at temperature 0",
    ),
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_names_file_key_and_remedy(text, message):
    with pytest.raises(RecipeError, match=message) as caught:
        parse_recipe(text, name="r.yaml")
    assert str(caught.value).startswith("r.yaml")
    assert "\n" not in str(caught.value)


def test_an_unreadable_recipe_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"cannot read the recipe .*absent\.yaml"):
        load_recipe(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match=r"cannot read the recipe .*binary\.yaml"):
        load_recipe(tmp_path / "binary.yaml")


def test_a_recipe_survives_being_written_out():
    recipe = parse_recipe(
        PLAIN + "training: {learning_rate: 3e-3, methods: {stt: {epochs: 5}}}", name="r.yaml"
    )
    again = parse_recipe(recipe.to_yaml(), name="again")
    assert first_difference(recipe, again) is None
    assert again.options_of(again.method("stt")).epochs == 5
    assert again.options_of(again.method("stt")).learning_rate == 3e-3
    assert again.options_of(again.method("base")).epochs == recipe.training.epochs == 3
    assert again.methods == COMPARED


def test_the_default_is_what_wins_and_the_paper_can_be_had():
    recipe = parse_recipe(PLAIN, name="r.yaml")
    for name in ("stt", "stt-ac", "stt-own", "stt-levels", "skip-all"):
        options = recipe.options_of(recipe.method(name))
        assert (options.skip_weight, options.thought, options.full_items) == (1, "none", "chunkwise")
    assert (recipe.skip.gate, recipe.skip.has_judge) == ("trial", False)
    text = PLAIN + "training: {skip_weight: null, thought: per-chunk}\nskip: {gate: answer}\n"
    paper = parse_recipe(text + "methods: [base, base+ac, stt, stt-ac, skip-all]", name="r.yaml")
    options = paper.options_of(paper.method("stt"))
    assert (options.skip_weight, options.thought, paper.skip.has_judge) == (None, "per-chunk", True)


@pytest.mark.parametrize(("changes", "refused"), [
    (["methods=[base, stt-own]"], "stt-own"), (["methods=[base, pruned-judge]"], "pruned-judge"),
    (["methods=[skip-all]", "training.thought=per-chunk"], "skip-all"),  # its chunks come from the gate
    (["methods=[answer-only, base, base+ac, base-own]"], None), (["skip.gate=answer"], None),
    (["skip.gate=rule"], None), (["skip.gate=random"], None), (["skip.gate=soft"], None),
])  # fmt: skip
def test_only_trials_need_validation_questions(changes, refused):
    text = PLAIN.replace("validation: 2", "validation: 0")
    if refused is None:
        assert parse_recipe(text, name="r", changes=changes).decided_on_validation is None
    else:
        with pytest.raises(
            RecipeError, match=rf"sizes\.validation is 0, and the gate trial of {refused} decides"
        ):
            parse_recipe(text, name="r", changes=changes)


def test_exponents_are_numbers_without_a_dot_too():
    recipe = parse_recipe(PLAIN + "training: {learning_rate: 2e-4, weight_decay: 1.5E-2}", name="r.yaml")
    assert (recipe.training.learning_rate, recipe.training.weight_decay) == (2e-4, 1.5e-2)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("training: {batch_size: 16}", ("training.batch_size", 32, 16)),
        ("methods: [base]", ("methods", list(COMPARED), ["base"])),
        ("training: {methods: {stt: {epochs: 5}}}", ("training.methods.stt.epochs", None, 5)),
        ("workers: 2\nthreads: 4", None),
    ],
)
def test_first_difference(change, difference):
    assert (
        first_difference(parse_recipe(PLAIN, name="a"), parse_recipe(PLAIN + change, name="b")) == difference
    )


def test_data_option_takes_the_place_of_the_source(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(PLAIN)
    recipe = load_recipe(path, data=tmp_path / "rows.jsonl")
    assert (recipe.data.task, recipe.data.file) == (None, str(tmp_path / "rows.jsonl"))
    assert recipe.data.sizes.train == 8


def test_keys_can_be_set_from_outside(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(PLAIN + "training: {epochs: 2}\n")
    changes = [
        "training.learning_rate=1e-4",
        "methods=[base, stt]",
        "training.methods.stt.epochs=7",
        "seeds=[4]",
    ]
    recipe = load_recipe(path, changes=changes)
    base, stt = (recipe.options_of(method) for method in recipe.chosen)
    assert (base.epochs, stt.epochs, base.learning_rate) == (2, 7, 1e-4)
    assert (recipe.methods, recipe.seeds) == (("base", "stt"), (4,))
    assert load_recipe(path).methods == COMPARED


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.epochs", r"--set takes key=value, e\.g\. training\.epochs=5, got 'training\.epochs'"),
        ("training..epochs=3", r"--set takes key=value"),
        ("=3", r"--set takes key=value"),
        ("name.first=a", r"--set name\.first=a: name is a value, no section"),
        ("methods=[base", r"--set methods=\[base: the value is not valid YAML"),
        ("training.epoch=3", r"unknown key training\.epoch; did you mean training\.epochs\?"),
        ("training.epochs=few", r"training\.epochs is 'few'"),
    ],
)
def test_a_key_that_cannot_be_set_says_why(tmp_path, change, message):
    path = tmp_path / "r.yaml"
    path.write_text(PLAIN)
    with pytest.raises(RecipeError, match=message):
        load_recipe(path, changes=[change])


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (
            "max_steps: 9",
            r"training\.max_steps is set.*; change training\.max_steps, or add --set training\.max_st",
        ),
        (
            "budget: {base_epochs: 2}",
            r"training\.budget is set.*; change training\.budget\.base_epochs, or add",
        ),
        ("budget: {seconds: 9}", r"training\.budget is set.*; change training\.budget\.seconds, or add"),
    ],
)
def test_epochs_that_would_not_count_are_refused(training, message):
    text = PLAIN + f"training: {{{training}}}\n"
    with pytest.raises(RecipeError, match=message):
        parse_recipe(text, name="r.yaml", changes=["training.epochs=5"])
    null = f"training.{training.split(':')[0]}=null"
    assert parse_recipe(text, name="r.yaml", changes=["training.epochs=5", null]).training.epochs == 5


def test_files_are_looked_for_beside_the_recipe(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("name: a\nanswer: number\ndata: {file: rows.jsonl}\nchunks: {M: 2}\n")
    assert load_recipe(path).data.file == str(tmp_path / "rows.jsonl")


def test_a_recipe_without_data_says_how_to_give_them(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("name: a\nanswer: number\nchunks: {M: 2}\n")
    with pytest.raises(RecipeError, match="names no data; give --data FILE"):
        load_recipe(path)


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path, tmp_path):
    assert load_recipe(path, data=tmp_path / "any.jsonl").name == path.stem


STARTERS = ("last_letter_concatenation", "multiarith", "tracking_shuffled_objects")
"""Recipes for data of the user's own."""


@pytest.mark.parametrize("name", STARTERS)
def test_starters_show_the_defaults(name, tmp_path):
    recipe = load_recipe(ROOT / "recipes" / f"{name}.yaml", data=tmp_path / "any.jsonl")
    default = parse_recipe(PLAIN, name="r")
    assert (recipe.skip.gate, recipe.methods) == (default.skip.gate, COMPARED)
    stt, expected = (one.options_of(one.method("stt")) for one in (recipe, default))
    assert (stt.skip_weight, stt.thought) == (expected.skip_weight, expected.thought)
    assert recipe.data.sizes.validation == recipe.skip.trial_questions


def test_all_other_recipes_name_what_they_skip_by():
    """A default that changes changes none of them."""
    starters = {ROOT / "recipes" / f"{name}.yaml" for name in STARTERS}
    paths = {*(ROOT / "recipes").rglob("*.yaml"), *(ROOT / "bench" / "gpu").glob("*.yaml")} - starters
    contents = {path: yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths}
    recipes = {path: content for path, content in contents.items() if "methods" in content}
    assert len(paths) - len(recipes) == 3  # those that make students of the test bed
    for path, content in recipes.items():
        assert "gate" in content["skip"], path
        assert {"skip_weight", "thought"} <= set(content["training"]), path


@pytest.mark.parametrize("task", tasks.NAMES)
def test_the_test_bed_has_a_valid_recipe_for_every_task(task):
    recipe = load_recipe(ROOT / "recipes" / "testbed" / f"{task}.yaml")
    assert (recipe.name, recipe.data.task, recipe.student.testbed) == (f"testbed-{task}", task, "S")
    how = {method.name: recipe.options_of(method) for method in recipe.chosen}
    step_sizes = {
        name: options.batch_size * options.gradient_accumulation_steps for name, options in how.items()
    }
    # M + 1 items of a chunk-wise method are one sample of Base: a step sees as many samples
    assert step_sizes["base+sbc"] == step_sizes["base"] * (recipe.chunks.M + 1)


def test_the_verbose_recipe_of_the_test_bed_is_valid():
    recipe = load_recipe(ROOT / "recipes" / "testbed" / "verbose_arithmetic.yaml")
    assert recipe.data.task_options["styles"] == ["calculate"]
    how = {method.name: recipe.options_of(method) for method in recipe.chosen}
    step_sizes = {
        name: options.batch_size * options.gradient_accumulation_steps for name, options in how.items()
    }
    assert step_sizes["base+ac"] == step_sizes["base"] * (recipe.chunks.M + 1)
    assert step_sizes["stt"] == step_sizes["base"] * 2
    assert {options.average_last for options in how.values()} == {6}


@pytest.mark.parametrize("student", [
    "{path: org/name}", "{path: org/name, prompt_format: chat, system: 'a: b', think: true, markers: text}",
    "{markers: text, think: true, hidden_size: 8}",
])  # fmt: skip
def test_a_resolved_recipe_is_read_again(student):
    recipe = parse_recipe(PLAIN + f"student: {student}", name="r.yaml")
    again = parse_recipe(recipe.to_yaml(), name="again.yaml")
    assert first_difference(recipe, again) is None
    assert again == recipe
