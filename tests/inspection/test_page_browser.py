"""Reports in a browser: opened from disk, searched, filtered, steered by keys; nothing leaves the page."""

import json

import chromium
import pytest
from chromium import Watched
from made_run import MadeRun

from skipthink.inspection import open_run
from skipthink.inspection.page import write_page

pytestmark = [
    pytest.mark.skipif(chromium.PATH is None, reason=chromium.WHY_NOT),
    pytest.mark.xdist_group("chromium"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    run = MadeRun(folder / "run", n_test=450, n_train=60).write()
    return write_page([open_run(run)], folder / "report.html")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    one = MadeRun(folder / "one", n_test=40).write()
    other = MadeRun(folder / "other", n_test=44, seeds=(1,)).write()
    return write_page([open_run(one), open_run(other)], folder / "both.html")


def test_a_report_opens_from_disk_with_its_first_sample(page):
    assert page.page.title() == "made"
    assert page.status == "510 of 510 samples"
    assert page.current == "test-0"
    assert page.page.locator("#methods ~ .scrolled tbody tr").count() == 3
    assert page.page.locator("figure svg[role=img]").count() == page.page.locator("figure").count() >= 8


def test_the_list_draws_only_the_rows_that_are_seen(page):
    assert len(page.ids) < 40
    page.page.locator("#browser-list").evaluate("list => { list.scrollTop = 300 * 58; }")
    page.until("document.getElementById('row-300') !== null")
    assert "test-300" in page.ids
    assert len(page.ids) < 40
    row = page.page.locator("#row-300")
    assert (row.get_attribute("aria-posinset"), row.get_attribute("aria-setsize")) == ("301", "510")


def test_search_looks_at_ids_and_questions_and_on_demand_at_everything(page):
    page.page.keyboard.press("/")
    page.page.keyboard.type("basket 77?")
    page.until("document.getElementById('browser-status').textContent.startsWith('1 of')")
    assert page.ids == ["test-77"]
    page.page.locator("#browser-search").fill("reply to train-7 without")
    page.until("document.getElementById('browser-status').textContent.startsWith('0 of')")
    page.page.locator("#browser-search").fill("[thought] ")
    page.page.locator("#browser-everywhere").check()
    page.until("document.getElementById('browser-status').textContent.startsWith('450 of')")
    page.page.locator("#browser-reset").click()
    page.until("document.getElementById('browser-status').textContent.startsWith('510 of')")


def wrong(period, n=450):
    """Samples that `made_run.output_of` gets wrong."""
    return [number for number in range(n) if number % period == 0 or number % 7 == 6]


def test_filters(page):
    page.choose("show", "method is wrong")
    assert page.status == f"{len(wrong(3))} of 510 samples"
    page.choose("show", "flips: one right, one wrong")
    flips = set(wrong(3)) ^ set(wrong(4))
    assert page.status == f"{len(flips)} of 510 samples"
    page.choose("show", "method wrong, compared right")
    assert page.status == f"{len(set(wrong(3)) - set(wrong(4)))} of 510 samples"
    page.choose("show", "all")
    page.choose("steps", "K = 6")
    assert page.status == "127 of 510 samples"
    page.choose("steps", "any number")
    page.choose("split", "train")
    assert page.status == "60 of 510 samples"
    page.choose("skips", "nothing skipped")
    assert page.status == "20 of 510 samples"


def test_flips_come_first(page):
    assert page.ids[:3] == ["test-0", "test-1", "test-2"]
    page.page.locator("#browser-flips").check()
    flips = sorted(set(wrong(3)) ^ set(wrong(4)))
    assert page.ids[:3] == [f"test-{number}" for number in flips[:3]]
    assert page.status == "510 of 510 samples"


def test_keys(page):
    keyboard = page.page.keyboard
    for key, expected in (
        ("j", "test-1"),
        ("j", "test-2"),
        ("k", "test-1"),
        ("n", "test-3"),
        ("n", "test-6"),
    ):
        keyboard.press(key)
        page.until(f"document.querySelector('#browser-sample h3').textContent === '{expected}'")
    keyboard.press("c")
    page.until("document.querySelector('.cards.two') !== null")
    assert [text.split()[-1] for text in page.page.locator(".card h5").all_text_contents()] == [
        "base/s0",
        "stt/s0",
    ]
    keyboard.press("?")
    assert page.page.locator("dialog").is_visible()
    keyboard.press("?")
    assert not page.page.locator("dialog").is_visible()
    keyboard.press("/")
    keyboard.type("jjj")
    assert page.page.locator("#browser-search").input_value() == "jjj"
    keyboard.press("Escape")
    assert page.page.evaluate("document.activeElement.id") != "browser-search"


def test_the_list_is_a_listbox_for_keyboard_and_screen_reader(page):
    page.page.locator("#browser-list").focus()
    page.page.keyboard.press("ArrowDown")
    page.until("document.querySelector('#browser-sample h3').textContent === 'test-1'")
    listbox = page.page.get_by_role("listbox")
    assert listbox.get_attribute("aria-activedescendant") == "row-1"
    assert listbox.get_by_role("option", selected=True).count() == 1
    assert page.page.locator("[aria-selected=true]").get_attribute("id") == "row-1"
    assert page.page.get_by_role("status").inner_text() == "510 of 510 samples"
    assert page.page.locator("thead th:not([scope]), tbody th:not([scope])").count() == 0
    assert page.page.locator("svg[role=img]:not([aria-label])").count() == 0
    headings = page.page.locator("h1").count()
    assert headings == 1
    # what colour says is said in words too
    assert "base/s0: right" in page.page.locator("#row-1 .unseen").all_inner_texts()


def test_every_sample_and_comparison_has_an_address(browser, report):
    watched = Watched(browser).open(report, "#/samples?id=test-431&a=base%2Fs0&b=base%2Bsbc%2Fs0")
    watched.until("document.querySelector('#browser-sample h3')?.textContent === 'test-431'")
    assert watched.page.locator(".cards.two .card").count() == 2
    watched.page.keyboard.press("j")
    watched.until("location.hash.includes('test-432')")
    again = Watched(browser).open(report, watched.page.evaluate("location.hash"))
    again.until("document.querySelector('#browser-sample h3')?.textContent === 'test-432'")
    again.page.evaluate("location.hash = '#/samples?id=no-such-sample'")
    again.until("document.getElementById('browser-status').textContent.includes('no sample of that address')")
    for one in (watched, again):
        assert one.is_quiet()
        one.context.close()


def test_a_sample_is_saved_as_json(page, tmp_path):
    page.page.evaluate("location.hash = '#/samples?id=train-3'")
    page.until("document.querySelector('#browser-sample h3').textContent === 'train-3'")
    with page.page.expect_download() as waiting:
        page.page.get_by_role("button", name="save as JSON").click()
    assert waiting.value.suggested_filename == "sample-train-3.json"
    waiting.value.save_as(tmp_path / "sample.json")
    saved = json.loads((tmp_path / "sample.json").read_text())
    assert (saved["id"], saved["split"], saved["answer"]) == ("train-3", "train", "3")
    assert "".join(saved["steps"]).startswith("We count the apples of basket 3.")
    (base,) = [item for item in saved["items"] if item["of"] == "base/s0"]
    trained = "".join(token["text"] for token in base["tokens"] if token["trained"])
    assert trained == "".join(saved["steps"]) + "<end>"
    assert [entry["of"] for entry in saved["cuts"]][:2] == ["average", "greedy on the losses of base+sbc/s0"]


def test_a_training_sample_shows_chunks_losses_gate_and_tokens(page):
    page.page.evaluate("location.hash = '#/samples?id=train-6'")
    page.until("document.querySelector('#browser-sample h3').textContent === 'train-6'")
    sample = page.page.locator("#browser-sample")
    assert sample.locator(".chunk").count() == 3
    assert [note.split()[0] for note in sample.locator(".chunk-number").all_inner_texts()] == ["1", "2", "3"]
    assert "skipped" in sample.locator(".chunk-number").first.inner_text()
    assert sample.locator(".loss").count() == 5
    names = sample.locator(".boundaries tbody th").all_inner_texts()
    assert names == [
        "average",
        "greedy on the losses of base+sbc/s0",
        "optimal on the losses of base+sbc/s0",
        "base+sbc/s0, epoch 1",
        "base+sbc/s0, epoch 2",
        "stt/s0",
        "skip-data/s0",
    ]
    gate = sample.locator(".gate tbody tr").all_inner_texts()
    assert [line.split("\t")[1] for line in gate] == [
        "right, go on to ask",
        "can be skipped",
        "is needed",
        "can be skipped",
    ]
    assert "reply to train-6 without 2" in gate[2]
    assert sample.locator(".token").count() == 3  # the legend: items come when they are opened
    sample.locator("summary", has_text="stt/s0").click()
    page.until(
        "document.querySelector('#browser-sample .item h5') !== null"
    )  # an open <details> says so a little later
    stages = sample.locator(".item h5").all_inner_texts()
    assert [stage.split(":")[0] for stage in stages] == ["[1]", "[skip]"]
    assert stages[1].endswith("2 times an epoch")
    first = sample.locator(".item").first
    assert "".join(first.locator(".token.masked").all_text_contents()).startswith("[1]How many apples")
    assert "".join(first.locator(".token.trained").all_text_contents()).endswith("That is all.<end>")


def test_two_runs_side_by_side(browser, both):
    watched = Watched(browser).open(both)
    page = watched.page
    assert page.title() == "A made and B made"
    rows = page.locator("#pairs ~ .scrolled tbody tr").all_inner_texts()
    assert rows == []  # other seeds: nothing to pair
    assert watched.status == "56 of 56 samples"
    assert page.locator("#browser-first option").all_inner_texts() == [
        f"{run} {method}/s{seed}"
        for run, seed in (("A", 0), ("B", 1))
        for method in ("base", "base+sbc", "stt")
    ]
    assert page.locator("#browser-second").input_value() == "3"  # the same method in the other run
    watched.choose("show", "flips: one right, one wrong")
    ones, others = set(wrong(3, 40)), {number - 1 for number in wrong(3, 41) if number}
    assert watched.status == f"{len(ones ^ others)} of 56 samples"
    page.keyboard.press("c")
    page.keyboard.press("j")
    watched.until("document.querySelectorAll('.cards.two .card').length === 2")
    assert watched.is_quiet()
    watched.context.close()


def test_without_javascript_all_but_the_samples_is_read(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.resolve().as_uri())
    text = page.locator("body").inner_text()
    assert "Searching and opening 510 samples takes JavaScript" in text
    assert page.locator("figure svg").count() >= 8
    assert page.locator("#browser-list").is_hidden()
    page.locator("details summary").first.click()
    assert page.locator("figure table").first.is_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 800, 2000])
def test_nothing_overflows_and_text_is_readable(browser, both, scheme, width):
    watched = Watched(browser, viewport={"width": width, "height": 900}, color_scheme=scheme).open(both)
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= width
    ratios = watched.page.evaluate(CONTRASTS)
    assert min(ratios.values()) >= 4.5, ratios
    assert watched.is_quiet()
    watched.context.close()


CONTRASTS = """() => {
  const style = getComputedStyle(document.documentElement);
  const parts = (name) => {
    const probe = document.createElement("canvas").getContext("2d");
    probe.fillStyle = style.getPropertyValue(name).trim();
    return [1, 3, 5].map((at) => parseInt(probe.fillStyle.slice(at, at + 2), 16) / 255);
  };
  const light = (name) => {
    const [r, g, b] = parts(name).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const papers = ["--paper", "--panel", "--mark", "--tint-0", "--tint-1", "--tint-2", "--tint-3", "--tint-4", "--tint-5"];
  const found = Object.fromEntries(papers.map((paper) => [`ink on ${paper}`, ratio("--ink", paper)]));
  for (const ink of ["--faint", "--link", "--right", "--wrong", "--missing"])
    for (const paper of ["--paper", "--panel", "--tint-0"]) found[`${ink} on ${paper}`] = ratio(ink, paper);
  return found;
}"""
