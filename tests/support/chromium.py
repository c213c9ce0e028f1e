"""Headless Chromium for tests of reports; without it they skip themselves, and `make test` says so."""

import shutil
import time
from contextlib import contextmanager

PATH = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WHY_NOT = "needs Chromium, which draws the pages (Debian: apt-get install chromium)"


@contextmanager
def started():
    """A browser; its sandbox wants rights that a container does not give."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PATH, args=["--no-sandbox"])
        yield browser
        browser.close()


class Watched:
    """A page with what it did: requests, messages of the console, errors, calls of `hit`.

    Args:
        browser: of `started`.
        options: of its context: viewport, color_scheme, java_script_enabled.
    """

    def __init__(self, browser, **options):
        self.context = browser.new_context(accept_downloads=True, **options)
        self.context.set_default_timeout(20_000)
        self.page = self.context.new_page()
        self.requests, self.said = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))
        self.page.add_init_script("window.hits = []; window.hit = (what) => window.hits.push(what);")

    def open(self, path, fragment=""):
        """Opens a report as a double click does, and waits until its samples are there."""
        self.page.goto(path.resolve().as_uri() + fragment)
        self.page.wait_for_selector("html[data-ready=yes]", state="attached")
        return self

    def is_quiet(self):
        """Whether the page asked for nothing but itself, said nothing, and ran nothing of what it shows."""
        hits = self.page.evaluate("window.hits")
        others = [url for url in self.requests if not url.startswith(("file:", "blob:", "data:,"))]
        assert (others, self.said, hits) == ([], [], [])
        assert len([url for url in self.requests if url.startswith("file:")]) <= 2
        return True

    @property
    def ids(self):
        """The ids in the rows that are drawn."""
        return self.page.locator(".row .row-id").all_inner_texts()

    @property
    def current(self):
        """The id of the open sample."""
        return self.page.locator("#browser-sample h3").inner_text()

    @property
    def status(self):
        """What the line above the list says."""
        return self.page.locator("#browser-status").inner_text()

    def choose(self, name, label):
        """Chooses an entry of a list of the controls."""
        self.page.locator(f"#browser-{name}").select_option(label=label)

    def until(self, condition):
        """Waits for a condition in JavaScript; asked from outside, as the page's policy lets nothing evaluate text."""
        give_up = time.monotonic() + 20
        while not self.page.evaluate(condition):
            assert time.monotonic() < give_up, condition
            self.page.wait_for_timeout(20)
