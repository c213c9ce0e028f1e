"""Reports as files: of runs in whatever state, figures and tables, what a page may hold, notebooks and plots."""

import json
import re
import shutil
from xml.etree import ElementTree

import numpy as np
import pytest
from command_line import call_cli
from made_run import METHODS, MadeRun, output_of

import skipthink
from skipthink.exceptions import InvalidInputError, RunError
from skipthink.inspection import open_run
from skipthink.inspection.page import figures, write_page
from skipthink.inspection.page.measures import Shown, measured, methods_table, pairs_table
from skipthink.inspection.page.pack import pack, source_hash, unpack
from skipthink.inspection.page.samples import Samples
from skipthink.inspection.page.svg import to_svg
from skipthink.io.markup import name_signs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return MadeRun(tmp_path_factory.mktemp("made") / "run").write()


@pytest.fixture
def copy(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    return tmp_path / "run"


def page_of(*folders):
    path = folders[0].parent / "page.html"
    return write_page([open_run(folder) for folder in folders], path).read_text(encoding="utf-8")


def data_of(page, name):
    """The content of a script element with data."""
    return unpack(re.search(rf'<script type="text/plain" id="{name}">([^<]*)</script>', page)[1])


def test_packed_values_come_back_and_hold_no_markup():
    value = {"a": ["</script><!--", "\ud800", "\x00", None, 1.5], "ü": {"b": True}}
    packed = pack(value)
    assert unpack(packed) == value
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", packed)
    assert pack(value) == packed
    with pytest.raises(ValueError, match="not JSON compliant"):
        pack([float("nan")])


def test_hidden_signs_are_named_and_everything_else_stays():
    assert name_signs("a\u202eb\x1b[31m\ud800\u200d\ufeff\U000e0041") == (
        "a⟨U+202E⟩b⟨U+001B⟩[31m⟨U+D800⟩⟨U+200D⟩⟨U+FEFF⟩⟨U+E0041⟩"
    )
    whole = "line\nbreak\ttab ünï 日本 العربية 👍 ∑"
    assert name_signs(whole) == whole


def test_the_same_run_gives_the_same_page(run):
    assert page_of(run) == page_of(run)


def test_a_page_holds_the_script_and_style_its_policy_names(run):
    page = page_of(run)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    policy = re.search(r'Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")
    assert source_hash(script) in policy
    assert source_hash(style) in policy
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|fetch\(", script
    )


def test_every_sample_is_in_the_page(run):
    page = page_of(run)
    index, block = data_of(page, "index"), data_of(page, "block-0")
    assert len(index["ids"]) == 42 == len(block["samples"])
    assert [method["label"] for method in index["methods"]] == [f"{method}/s0" for method in METHODS]
    assert index["verdicts"][0][:7] == "wrrwrru"
    assert index["verdicts"][0][30:] == "-" * 12
    assert index["steps"][:4] == [3, 4, 5, 6]
    assert index["skips"][30:33] == [2, 0, 1]
    assert index["skips"][:30] == [None] * 30
    first = block["samples"][30]
    assert first["question"] == "How many apples are in basket 0?"
    assert [gate["of"] for gate in first["gate"]] == ["skip-data/s0"]
    assert first["losses"][0]["steps"] == [[0.2] * 3, [0.9] * 3, [1.6] * 3]


def test_items_beyond_the_limit_are_left_out_and_counted(run):
    shown = [Shown(open_run(run))]
    samples = Samples(shown, measured(shown), item_tokens=0)
    blocks = list(samples.blocks())
    assert not any("items" in sample for block in blocks for sample in block["samples"])
    assert samples.notes == [
        "The items of 12 training samples are not in this page, which would grow too large; skipthink inspect shows them."
    ]
    assert Samples(shown, measured(shown)).notes == []


def test_methods_table_has_intervals_costs_and_speedups(run):
    table = methods_table(measured([Shown(open_run(run))]))
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    base = rows["base"]
    assert (base["accuracy %"], base["95 % interval"]) == ("60.0", "42.3 to 75.4")
    assert base["tokens/right answer"] == "99.2"  # 59.5 / 0.6
    assert rows["stt"]["speed-up seconds"] == "2.00×"
    assert base["sd over seeds"] == "–"


def test_intervals_of_several_seeds_count_a_question_once(tmp_path):
    folder = MadeRun(tmp_path / "run", n_test=40, seeds=(0, 1, 2), methods=("base",)).write()
    (one,) = measured([Shown(open_run(folder))])
    assert one.right.shape == (3, 40)
    low, high = one.interval
    means = one.right.mean(axis=0)
    half = 1.959964 * means.std(ddof=1) / np.sqrt(40)
    assert (low, high) == (pytest.approx(means.mean() - half), pytest.approx(means.mean() + half))


def test_two_runs_are_paired_by_question_and_seed(tmp_path):
    def better(method, row, number):
        return output_of(method, row, number) | {"verdict": "right" if number < 15 else "wrong"}

    one = MadeRun(tmp_path / "one", n_test=30).write()
    other = MadeRun(tmp_path / "other", n_test=20, output=better).write()
    shown = [Shown(open_run(one), "A"), Shown(open_run(other), "B")]
    table = pairs_table(shown, measured(shown))
    row = dict(zip(table.columns, table.rows[0], strict=True))
    first = [output_of("base", {"answer": "", "rationale": ""}, n)["verdict"] == "right" for n in range(20)]
    second = [n < 15 for n in range(20)]
    assert row["questions in both"] == "20"
    assert int(row["gained"]) == sum(b and not a for a, b in zip(first, second, strict=True))
    assert int(row["lost"]) == sum(a and not b for a, b in zip(first, second, strict=True))
    assert row["difference, points"] == f"{100 * (sum(second) - sum(first)) / 20:+.1f}"


def test_base_cut_at_k_tokens_is_the_curve_to_beat(run):
    (one, *_) = measured([Shown(open_run(run))])
    lengths, means, shares = figures.base_cut(one)
    assert list(lengths) == sorted({45 + number for number in range(30)})
    assert means[-1] == pytest.approx(np.mean([45 + number for number in range(30)]))
    assert shares[-1] == pytest.approx(0.6)
    assert shares[0] == 0.0  # the shortest answer is wrong
    assert all(np.diff(shares) >= 0)


def test_figures_have_the_numbers_they_draw(run):
    found = {figure.name: figure for figure in figures.all_figures([Shown(open_run(run))])}
    assert list(found) == [
        "accuracy_against_tokens",
        "accuracy_against_seconds",
        "tokens_per_right_answer",
        "accuracy_by_steps",
        "accuracy_given_chunks",
        "losses",
        "cuts",
        "skips",
        "seconds",
    ]
    assert found["skips"].table.rows == [["skip-data/s0", "12", "50.0", "0.0", "33.3"]]
    assert [row[:3] for row in found["accuracy_by_steps"].table.rows[:4]] == [
        ["base", "3", "8"],
        ["base", "4", "8"],
        ["base", "5", "7"],
        ["base", "6", "7"],
    ]
    cuts = found["cuts"].table
    assert [row[0] for row in cuts.rows] == ["base+sbc/s0, epoch 1", "base+sbc/s0, epoch 2"]
    assert all(98 <= sum(map(int, row[1:])) <= 102 for row in cuts.rows)
    seconds = found["seconds"].table.rows
    assert seconds[0][0] == "train/base/s0"
    assert seconds[-1][:2] == ["all jobs", "109.5"]


def test_loss_curves_have_the_points_of_train_json_where_there_are_any(tmp_path):
    folder = MadeRun(tmp_path / "run").write()
    path = open_run(folder).trained("base", 0).job.folder / "train.json"
    fine = {"loss": [2.5, 1.25, 0.75], "loss_steps": [7, 14, 20], "loss_target_tokens": [70, 140, 200]}
    path.write_text(json.dumps({**json.loads(path.read_text()), **fine}))
    record = open_run(folder)
    assert record.trained("base", 0).loss_points == [(7, 2.5), (14, 1.25), (20, 0.75)]
    assert record.trained("base+sbc", 0).loss_points == [(5, 3.0), (10, 1.5), (15, 1.0), (20, 0.75)]
    rows = {row[0]: row[1:] for row in figures.losses([Shown(record)]).table.rows}
    assert rows["base/s0"] == ["7", "2.500", "20", "0.750"]
    assert rows["base+sbc/s0"] == ["5", "3.000", "20", "0.750"]


def test_steps_are_grouped_where_there_are_many():
    assert figures.step_groups(np.asarray([3, 3, 5])) == [(3, 3), (5, 5)]
    many = np.repeat(np.arange(1, 41), 5)
    groups = figures.step_groups(many)
    assert len(groups) <= figures.STEP_GROUPS
    assert (groups[0][0], groups[-1][1]) == (1, 40)
    assert all(one[1] + 1 == other[0] for one, other in zip(groups, groups[1:], strict=False))


def test_cuts_at_the_ends_are_no_cuts():
    shares = figures.cut_shares(np.asarray([[0, 0, 5, 10], [0, 10, 10, 10]]))
    assert shares.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]


def test_svg_is_free_of_styles_scripts_and_other_names():
    def draw(axes):
        axes.plot([1, 2], [3, 4], label=r"a \$b\$ <i>")
        axes.set_title("<script>&")
        axes.legend()

    svg = to_svg(draw, name="mine", description="what it shows <b>", height=0.5)
    root = ElementTree.fromstring(svg)
    assert root.attrib["aria-label"] == "what it shows <b>"
    assert not [
        element for element in root.iter() if element.tag in ("script", "style") or "style" in element.attrib
    ]
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    assert all(name.startswith("mine-") for name in ids)
    named = re.findall(r"url\(#([^)]*)\)", svg) + [
        e.attrib["href"][1:] for e in root.iter() if "href" in e.attrib
    ]
    assert named
    assert set(named) <= set(ids)
    assert "currentColor" in svg
    texts = ["".join(element.itertext()).strip() for element in root.iter("text")]
    assert "<script>&" in texts
    assert "a $b$ <i>" in texts


def test_an_unfinished_run_is_reported_as_far_as_it_is(copy):
    """As a kill leaves it: the last training and the evaluations are missing, a log has a torn end."""
    for name in ("train/stt/s0", "evaluate/base+sbc/s0", "evaluate/stt/s0", "evaluate"):
        (copy / name / "done.json").unlink()
    (copy / "results.json").unlink()
    log = copy / "train/stt/s0/checkpoints/log.jsonl"
    log.parent.mkdir()
    log.write_text('{"step": 5, "loss": 2.5}\n{"step": 10, "lo')
    page = page_of(copy)
    for name in ("train/stt/s0", "evaluate/stt/s0", "evaluate"):
        assert f"<li>{name}: not finished</li>" in page
    index = data_of(page, "index")
    assert [method["label"] for method in index["methods"]] == ["base/s0"]
    assert len(index["ids"]) == 42
    assert "Training loss" in page


def test_a_run_that_has_just_begun_has_a_page(copy):
    for path in copy.rglob("done.json"):
        path.unlink()
    for name in ("data", "train", "evaluate", "skip-data", "student"):
        shutil.rmtree(copy / name)
    page = page_of(copy)
    assert "No method is evaluated yet." in page
    assert "There is no sample yet." in page
    assert "prepare: not finished" in page


DAMAGED = (
    "data/train.parquet",
    "evaluate/stt/s0/predictions.parquet",
    "results.json",
    "skip-data/s0/skip.parquet",
    "skip-data/s0/transcript.parquet",
    "student/s0/tokenizer.json",
    "train/base+sbc/s0/epochs.parquet",
    "train/base+sbc/s0/losses.parquet",
    "train/stt/s0/items.parquet",
    "train/stt/s0/log.jsonl",
)


@pytest.mark.parametrize("name", ["evaluate/stt/s0/predictions.parquet", "train/base+sbc/s0/losses.parquet"])
def test_a_torn_file_is_named_and_the_rest_is_reported(copy, name):
    path = copy / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    page = page_of(copy)
    assert page.count("<li>") - page.count('<li><a href="#') == 1
    assert f"<li>{name}: cannot be read" in page
    assert len(data_of(page, "index")["ids"]) == 42


def test_damaged_files_are_all_named_and_the_rest_is_reported(copy):
    for name in DAMAGED:
        (copy / name).write_bytes(b"\x00noise\xff\n" * 50)
    page = page_of(copy)
    named = re.findall(r"<li>([^:<]*): cannot be read", page)
    assert sorted(named) == sorted(DAMAGED)
    index = data_of(page, "index")
    assert len(index["ids"]) == 30
    assert index["verdicts"][2] == "-" * 30  # what STT answered cannot be read
    assert "Accuracy against tokens" in page


def test_missing_files_are_named_and_the_rest_is_reported(copy):
    gone = ["data/test.parquet", "train/stt/s0/items.parquet", "train/stt/s0/log.jsonl"]
    for name in gone:
        (copy / name).unlink()
    page = page_of(copy)
    assert sorted(re.findall(r"<li>([^:<]*): is not there", page)) == sorted(gone)
    assert len(data_of(page, "index")["ids"]) == 12


def test_a_folder_of_another_format_or_none_is_refused_in_one_line(copy, tmp_path):
    content = json.loads((copy / "jobs.json").read_text())
    (copy / "jobs.json").write_text(json.dumps(content | {"schema": 99}))
    with pytest.raises(RunError, match=r"^[^\n]*written by another skipthink[^\n]*$"):
        open_run(copy)
    done = call_cli("report", copy, check=2)
    assert done.stderr.count("\n") == 1
    none = call_cli("report", tmp_path, check=2)
    assert "is no run folder" in none.stderr


def test_the_command_writes_into_the_run_folder_or_where_it_is_told(copy, tmp_path, monkeypatch):
    done = call_cli("report", copy)
    assert done.stdout.startswith(f"{copy / 'report.html'}: 0.")
    assert (copy / "report.html").stat().st_size > 100_000
    other = tmp_path / "other"
    shutil.copytree(copy, other)
    (other / "evaluate" / "done.json").unlink()
    page = tmp_path / "both.html"
    done = call_cli("report", copy, other, "--html", page)
    assert "what is missing in the run stands on top of it (1)" in done.stdout
    assert "Two runs, question by question" in page.read_text(encoding="utf-8")


def test_one_or_two_runs(run, tmp_path):
    with pytest.raises(InvalidInputError, match="one run or two, got 3"):
        write_page([open_run(run)] * 3, tmp_path / "page.html")


def test_plots_are_axes_of_the_figures(run):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    from skipthink import plots

    for name in plots.__all__:
        axes = getattr(plots, name)(run)
        assert axes.get_title()
        assert axes.has_data()
        pyplot.close(axes.figure)
    figure, mine = pyplot.subplots()
    assert plots.accuracy_against([run, open_run(run)], "seconds", ax=mine) is mine
    assert mine.get_xlabel() == "milliseconds per answer"
    pyplot.close(figure)
    with pytest.raises(InvalidInputError, match="cost must be one of tokens, seconds, got 'dollars'"):
        plots.accuracy_against(run, "dollars")


def test_a_figure_without_numbers_says_so(copy):
    from skipthink import plots

    shutil.rmtree(copy / "skip-data")
    with pytest.raises(InvalidInputError, match="has nothing to draw this figure from yet"):
        plots.skips(copy)


def test_a_chunking_shows_itself(capsys):
    texts = ["One. <b>Two</b>. Three\u202e.", "Four. Five. Six."]
    found = skipthink.chunk(texts, [[0.1, 0.1, 3.0]] * 2, 2, 0.0, method="optimal", objective="variance")
    page = found._repr_html_()
    assert "&lt;b&gt;Two&lt;/b&gt;" in page
    assert "<code>U+202E</code>" in page
    assert page.count('class="chunk"') == 4
    assert "row 0: boundaries 0, 2, 3, J = 0" in page
    found.show(1)
    printed = capsys.readouterr().out
    assert printed.splitlines()[1:] == ["[1] Four. Five. ", "[2] Six."]
    many = skipthink.chunk(["One. Two."] * 8, None, 2, method="average")
    assert "… and 3 more rows" in many._repr_html_()
    bare = skipthink.chunk(None, [[0.1, 0.2]], 2)
    assert "row 0: boundaries 0, 1, 2" in bare._repr_html_()
    with pytest.raises(InvalidInputError, match="no text"):
        bare.show()


def test_a_chunking_is_displayed_in_a_notebook(monkeypatch, capsys):
    import sys
    import types

    shown = []
    module, display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    module.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    display.HTML, display.display = lambda text: text, shown.append
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    found = skipthink.chunk(["One. Two."], None, 2, method="average")
    found.show()
    assert capsys.readouterr().out == ""
    assert shown[0].count('class="chunk"') == 2


def test_a_sample_shows_itself(tmp_path, capsys):
    from skipthink.inspection import SampleViews

    def harmful(field, text):
        return f"<b>{field}\u202e</b> {text}" if field in {"question", "chain"} else text

    folder = MadeRun(tmp_path / "run", n_test=2, n_train=2, change=harmful).write()
    views = SampleViews(open_run(folder))
    page = views.find("test-1")._repr_html_()
    assert "&lt;b&gt;question<code>U+202E</code>&lt;/b&gt; How many" in page
    assert "&lt;b&gt;chain<code>U+202E</code>" in page
    assert page.count('class="chunk"') == 3
    assert "<td>✓ right</td>" in page
    assert 'class="chunk skipped"' in views.find("train-0")._repr_html_()
    views.find("train-0").show()
    printed = capsys.readouterr().out
    assert r"<b>question\u202e</b>" in printed
    assert "There are 0 apples." in printed


def test_a_run_ends_with_its_report(whole_run):
    page = (whole_run / "report.html").read_text(encoding="utf-8")
    index, block = data_of(page, "index"), data_of(page, "block-0")
    assert [method["label"] for method in index["methods"]] == ["base/s0", "base+sbc/s0", "stt/s0"]
    samples = dict(zip(index["ids"], block["samples"], strict=True))
    trained = [sample for sample in samples.values() if "items" in sample]
    assert len(trained) == 32
    for sample in trained:
        labels = {item["of"] for item in sample["items"]}
        assert labels == {"base/s0", "base+sbc/s0", "stt/s0"}
        assert [entry["of"] for entry in sample["losses"]] == ["base+sbc/s0"]
        assert len(sample["losses"][0]["steps"]) == len(sample["steps"])
        assert sample["gate"][0]["questions"]
        base = next(item for item in sample["items"] if item["of"] == "base/s0")
        texts = [block["pieces"][number][0] for number in base["ids"]]
        assert "".join(texts).startswith(sample["question"])
        assert "".join(sample["steps"]) in "".join(texts)
    assert "<li>" not in page.split("</header>")[1].split("Recipe and machine")[0]
    printed = (whole_run.parent / "printed.txt").read_text()
    assert re.search(r"report: .*report\.html \(\d", printed)
