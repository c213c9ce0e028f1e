"""Texts that mean harm in a report, field by field: shown as they are, and nothing of them is run or asked for."""

import json

import chromium
import pytest
from chromium import Watched
from made_run import MadeRun, output_of

from skipthink.inspection import open_run
from skipthink.inspection.page import write_page
from skipthink.inspection.page.samples import Samples

pytestmark = [
    pytest.mark.skipif(chromium.PATH is None, reason=chromium.WHY_NOT),
    pytest.mark.xdist_group("chromium"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SIGNS = {
    "\u202e": "U+202E",
    "\u2066": "U+2066",
    "\x00": "U+0000",
    "\x1b": "U+001B",
    "\u200b": "U+200B",
    "\x9b": "U+009B",
}
PLAIN = (
    "</script></textarea></style></svg><script>hit('{0}')</script><img src=x onerror=hit('{0}')>"
    "<svg onload=hit('{0}')><a href=\"javascript:hit('{0}')\">{0}</a>{{{{ 7*7 }}}}{{% x %}}]]>--><!--"
)
FIELDS = ("id", "question", "rationale", "answer", "chain", "output", "reply", "judged answer")
MEGABYTE = 1_000_000


def hostile(field, text):
    """A text with everything that does harm somewhere, in front of the harmless one."""
    steering = "".join(f"{sign}{name}" for sign, name in SIGNS.items()) + "\x1b[31m\x1b]0;title\x07"
    return f"{field}: " + PLAIN.format(field) + steering + " " + text


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A run in which every text of others means harm, the names of files, methods and recipe included."""
    folder = tmp_path_factory.mktemp("hostile")
    harm = hostile("recipe", "name")
    method = "<img src=x onerror=hit(1)>\u202e$\\frac{1}{2}$"
    recipe = {"name": harm, "task": hostile("task", "t"), "data": {"file": hostile("file", "f")}}
    made = MadeRun(
        folder / "<img src=x onerror=hit(2)>\u202e",
        n_test=6,
        n_train=4,
        methods=("base", "base+sbc", "stt", method),
        change=hostile,
        recipe=recipe,
    )
    run = made.write()
    results = json.loads((run / "results.json").read_text())
    results["versions"]["<script>hit('version')</script>"] = hostile("version", "\ud800 alone")
    (run / "results.json").write_text(json.dumps(results))
    return write_page([open_run(run)], folder / "report.html")


def shown(text):
    """A text as the page shows it: hidden signs named."""
    for sign, name in {**SIGNS, "\x07": "U+0007"}.items():
        text = text.replace(sign, name)
    return text


def open_first(page, split):
    """Opens the first sample of a split and everything in it; gives all its text."""
    page.choose("split", split)
    page.page.keyboard.press("Escape")
    page.page.locator(".row").first.click()
    page.until(f"document.querySelector('#browser-sample dd').textContent === '{split}'")
    for summary in page.page.locator("#browser-sample summary").all():
        summary.click()
    return page.page.locator("#browser-sample").evaluate("sample => sample.textContent")


def test_every_field_of_a_test_sample_is_shown_as_it_is(page):
    text = open_first(page, "test")
    for field in ("id", "question", "rationale", "answer", "chain", "output"):
        assert shown(hostile(field, "")) in text, field
    for element in ("script", "img", "a", "svg"):
        assert page.page.locator(f"#browser-sample {element}").count() == 0
    signs = page.page.locator("#browser-sample .sign").all_text_contents()
    assert set(signs) == {*SIGNS.values(), "U+0007"}


def test_every_field_of_a_training_sample_is_shown_as_it_is(page):
    text = open_first(page, "train")
    for field in ("id", "question", "answer", "reply", "judged answer"):
        assert shown(hostile(field, "")) in text, field
    # chunks and tokens stand between the parts of these texts, so that their pieces are looked for
    steps = page.page.locator("#browser-sample .step").evaluate_all(
        "steps => steps.map((step) => [...step.childNodes].filter((n) => n.className !== 'loss' && "
        "!String(n.className).startsWith('loss')).map((n) => n.textContent).join('')).join('')"
    )
    assert shown(hostile("rationale", "We count")) in steps
    tokens = "".join(page.page.locator("#browser-sample .item .token").all_text_contents())
    assert "<script>hit('question')</script>" in tokens
    assert "<script>hit('rationale')</script>" in tokens
    for element in ("script", "img", "a", "svg"):
        assert page.page.locator(f"#browser-sample {element}").count() == 0


def test_names_in_the_static_part_are_shown_as_they_are(page):
    text = page.page.locator("body").evaluate("body => body.textContent")
    marked = hostile("recipe", "name")
    for sign, name in {**SIGNS, "\x07": "U+0007"}.items():
        marked = marked.replace(sign, f"⟨{name}⟩")
    assert marked in text
    assert page.page.title() == marked
    assert "<img src=x onerror=hit(2)>⟨U+202E⟩" in text  # the name of the folder
    assert "<img src=x onerror=hit(1)>⟨U+202E⟩$\\frac{1}{2}$" in text  # a method
    assert "⟨U+D800⟩ alone" in text
    assert "<script>hit('version')</script>" in text
    assert "49" not in page.page.locator("h1").inner_text()
    assert page.page.locator("img").count() == 0
    labels = page.page.locator("figure svg text").all_text_contents()
    assert any("<img src=x onerror=hit(1)>⟨U+202E⟩$" in label for label in labels)


def test_the_file_itself_is_text_and_its_policy_allows_its_own_script_alone(report):
    content = report.read_bytes()
    text = content.decode("utf-8")
    assert b"\x00" not in content
    assert b"\x1b" not in content
    assert text.count("<script") == text.count("</script") == 3  # the only block, the index, the program
    assert "\u202e" not in text
    (policy,) = [line for line in text.splitlines() if "Content-Security-Policy" in line]
    assert "default-src &#39;none&#39;" in policy
    assert "unsafe" not in policy
    assert " style=" not in text
    assert "http:" not in text.replace("http://www.w3.org", "")
    assert "https:" not in text


def test_a_saved_sample_and_its_address_are_harmless(page, tmp_path):
    open_first(page, "train")
    with page.page.expect_download() as waiting:
        page.page.get_by_role("button", name="save as JSON").click()
    name = waiting.value.suggested_filename
    assert name.startswith("sample-id-script-")
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")
    waiting.value.save_as(tmp_path / "saved.json")
    saved = json.loads((tmp_path / "saved.json").read_text())
    assert saved["id"] == hostile("id", "train-0")  # the text itself, not what is shown of it
    address = page.page.evaluate("location.hash")
    assert not set(address) & set("<>\"' ")
    page.page.evaluate(
        "location.hash = '#/samples?id=%3Cimg%20src%3Dx%20onerror%3Dhit(3)%3E&a=javascript:hit(4)'"
    )
    page.until("document.getElementById('browser-status').textContent.includes('no sample of that address')")


def test_search_takes_hostile_words_as_words(page):
    page.page.locator("#browser-search").fill("<script>hit('question')")
    page.until("document.getElementById('browser-status').textContent.startsWith('10 of')")
    page.page.locator("#browser-search").fill("(.*+?^${}")
    page.until("document.getElementById('browser-status').textContent.startsWith('0 of')")


def test_lines_of_a_megabyte_open_at_once_and_are_shown_in_parts(browser, tmp_path):
    def long(field, text):
        return "x" * MEGABYTE + text if field in {"question", "rationale", "chain", "output"} else text

    run = MadeRun(tmp_path / "run", n_test=2, n_train=1, change=long).write()
    path = write_page([open_run(run)], tmp_path / "report.html")
    assert path.stat().st_size < 1_000_000
    watched = Watched(browser, viewport={"width": 900, "height": 900}).open(path)
    length = "document.getElementById('browser-sample').textContent.length"
    assert watched.page.evaluate(length) < 300_000
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= 900
    more = watched.page.locator("#browser-sample .more").first
    assert more.inner_text() == "… 980,032 more characters: show them"
    more.click()
    assert watched.page.evaluate(length) > MEGABYTE
    assert watched.is_quiet()
    watched.context.close()


def test_lone_surrogates_are_named(browser, tmp_path, monkeypatch):
    """Arrow cannot hold them, so they are put in where a page takes its texts from."""
    blocks, index = Samples.blocks, Samples.index

    def broken(value):
        if isinstance(value, str):
            return value.replace("basket", "\ud800bas\udc00ket")
        if isinstance(value, list):
            return [broken(entry) for entry in value]
        return {key: broken(entry) for key, entry in value.items()} if isinstance(value, dict) else value

    monkeypatch.setattr(Samples, "blocks", lambda samples: (broken(block) for block in blocks(samples)))
    monkeypatch.setattr(Samples, "index", lambda samples: broken(index(samples)) | {"ids": ["\udfff", "b"]})
    run = MadeRun(tmp_path / "run", n_test=2, n_train=0, methods=("base",)).write()
    path = write_page([open_run(run)], tmp_path / "report.html")
    watched = Watched(browser).open(path)
    assert (
        "How many apples are in U+D800basU+DC00ket 0?" in watched.page.locator("#browser-sample").inner_text()
    )
    assert (
        watched.page.locator(".row-question")
        .first.inner_text()
        .startswith("How many apples are in U+D800bas")
    )
    watched.page.locator(".row").first.click()
    watched.until("location.hash === '#/samples?n=0'")  # an address cannot hold the id
    assert watched.is_quiet()
    watched.context.close()


def test_an_output_may_be_anything(tmp_path):
    """Verdicts, tokens and answers that are not as usual make no report fail."""

    def odd(method, row, number):
        return output_of(method, row, number) | {"verdict": "<b>", "answer": None, "tokens": 0}

    run = MadeRun(tmp_path / "run", n_test=3, n_train=1, output=odd).write()
    assert write_page([open_run(run)], tmp_path / "report.html").stat().st_size > 0
