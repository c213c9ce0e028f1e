"""The page of a large run: 10,000 questions and seven methods; its size, and how it opens and filters in Chromium.

    python bench/report_page.py

Texts are those of the task distractor_arithmetic; a method's output is the rationale with steps left out and numbers
changed, as students write it. Prints a table in Markdown, for docs/how-to/report.md. Needs Chromium and playwright.
"""

import argparse
import random
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import chromium
from made_run import MadeRun

from machine import processor
from skipthink import tasks
from skipthink.inspection import open_run
from skipthink.inspection.page import write_page

METHODS = ("base", "answer-only", "base+ac", "base+sbc", "stt", "skip-all", "truncated")
REPEATS = 5
OPENED = "document.documentElement.dataset.ready === 'yes'"
FILTER = """async () => {
  const show = document.getElementById("browser-show");
  const from = performance.now();
  show.value = "flips";
  show.dispatchEvent(new Event("change"));
  await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  const took = performance.now() - from;
  show.value = "all";
  show.dispatchEvent(new Event("change"));
  return took;
}"""
SEARCH = """async (everywhere) => {
  const [box, tick, status] = ["search", "everywhere", "status"].map((n) => document.getElementById("browser-" + n));
  const told = () => new Promise((done) => {
    const look = () => (/ of /.test(status.textContent) ? done() : setTimeout(look, 1));
    look();
  });
  tick.checked = everywhere;
  box.value = everywhere ? "and then 17" : "ann";
  status.textContent = "";
  const from = performance.now();
  box.dispatchEvent(new Event("input"));
  await told();
  const took = performance.now() - from;
  box.value = "";
  tick.checked = false;
  box.dispatchEvent(new Event("input"));
  return took;
}"""
SAMPLE = """async () => {
  const took = [];
  for (let at = 1; at <= 40; at++) {
    const from = performance.now();
    location.hash = `#/samples?n=${(at * 2477) % 10000}`;
    const before = document.querySelector("#browser-sample h3").textContent;
    while (document.querySelector("#browser-sample h3").textContent === before)
      await new Promise((done) => setTimeout(done, 1));
    took.push(performance.now() - from);
  }
  return took;
}"""
SCROLL = """async () => {
  const list = document.getElementById("browser-list");
  const frames = [];
  let last = performance.now();
  for (let step = 0; step < 120; step++) {
    list.scrollTop += 4000;
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    frames.push(now - last);
    last = now;
  }
  return frames;
}"""


def task_rows(split, n):
    """Samples of a task, with their teacher's rationales."""
    fields = ("id", "question", "rationale", "answer")
    return [
        {name: row[name] for name in fields} for row in tasks.rows("distractor_arithmetic", split=split, n=n)
    ]


def written(method, row, number):
    """What a student of a method would write: steps left out, numbers changed; always the same."""
    chance = random.Random(f"{method} {number}")
    is_right = chance.random() < 0.8
    sentences = re.split(r"(?<=\.) ", row["rationale"])
    if method in ("stt", "skip-all", "truncated"):
        sentences = [text if chance.random() < 0.5 else "[thought]" for text in sentences]
    chain = "" if method == "answer-only" else " ".join(sentences)
    if not is_right:
        chain = re.sub(r"\d+", lambda found: str(int(found[0]) + chance.randrange(3)), chain)
    answer = row["answer"] if is_right else str(chance.randrange(100))
    return {
        "chain": chain,
        "answer": answer,
        "verdict": "right" if is_right else "wrong",
        "tokens": len(chain) // 4 + 2,
        "prompt_tokens": len(row["question"]) // 4,
        "ended": True,
        "looped": False,
    }


def heap(session):
    """Megabytes of JavaScript that are in use."""
    session.send("HeapProfiler.collectGarbage")
    return session.send("Runtime.getHeapUsage")["usedSize"] / 1e6


def measure(path):
    """Opens the page again and again; milliseconds and megabytes."""
    opened, found = [], {}
    with chromium.started() as browser:
        for _ in range(REPEATS):
            context = browser.new_context(viewport={"width": 1400, "height": 900})
            page = context.new_page()
            session = context.new_cdp_session(page)
            started = time.perf_counter()
            page.goto(path.resolve().as_uri())
            while not page.evaluate(OPENED):
                page.wait_for_timeout(5)
            opened.append(1000 * (time.perf_counter() - started))
            found["JavaScript memory when open, MB"] = heap(session)
            found["filter, ms"] = statistics.median(page.evaluate(FILTER) for _ in range(9))
            found["search in ids and questions, ms"] = statistics.median(
                page.evaluate(SEARCH, False) for _ in range(5)
            )
            found["search in all texts, ms"] = page.evaluate(SEARCH, True)
            samples = page.evaluate(SAMPLE)
            found["opening a sample, ms (median)"] = statistics.median(samples)
            found["opening a sample, ms (slowest of 40)"] = max(samples)
            frames = page.evaluate(SCROLL)
            found["scrolling, ms per frame (median)"] = statistics.median(frames)
            found["scrolling, ms per frame (slowest of 120)"] = max(frames)
            found["JavaScript memory after all this, MB"] = heap(session)
            context.close()
    return {
        "opening, ms (median of 5)": statistics.median(opened),
        "opening, ms (slowest)": max(opened),
    } | found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--train", type=int, default=1_000)
    parser.add_argument("--keep", type=Path, help="where the page is kept; else it is removed")
    options = parser.parse_args()
    if chromium.PATH is None:
        raise SystemExit(chromium.WHY_NOT)
    with tempfile.TemporaryDirectory() as folder:
        made = MadeRun(
            Path(folder) / "run", options.samples, options.train, METHODS, output=written, rows=task_rows
        )
        run = made.write()
        path = options.keep or Path(folder) / "report.html"
        started = time.perf_counter()
        write_page([open_run(run)], path)
        took = time.perf_counter() - started
        rows = {"size, MB": path.stat().st_size / 1e6, "writing, s": took} | measure(path)
    print(
        f"{options.samples:,} questions, {len(METHODS)} methods, {options.train:,} training samples; {processor()}\n"
    )
    print("| | |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value:.1f} |")


if __name__ == "__main__":
    main()
