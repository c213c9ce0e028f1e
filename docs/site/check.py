"""Checks a built site: `python docs/site/check.py build/site`.

No page may ask another server for a script, style, font or picture, and every link within the site must lead to a
file, and to a place in it where the link names one. Links to other sites are not followed.
"""

import re
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src",
          "audio": "src", "object": "data", "embed": "src", "image": "href", "use": "href"}  # fmt: skip
"""Elements that a browser loads something for, and the attribute that says what."""
HARMLESS = {"canonical", "index", "search", "next", "prev", "author", "license"}
"""Values of `rel` with which a `link` is only a remark."""
STYLE = re.compile(r"url\(\s*[\"']?([^\"')]+)|@import\s+[\"']([^\"']+)")
IN_SCRIPT = re.compile(r"""(?:import\s*\(|from\s+|fetch\s*\(|\.src\s*=)\s*["'`]((?:https?:)?//[^"'`]+)""")


class Page(HTMLParser):
    """What a page loads, links to and can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.raw = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Takes note of an element."""
        values = {name: value or "" for name, value in attrs}
        self.places.update(values[name] for name in ("id", "name") if name in values)
        self.raw = tag if tag in {"script", "style"} else ""
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if "style" in values:
            self.loads += in_style(values["style"])
        if "srcset" in values:
            self.loads += [entry.split()[0] for entry in values["srcset"].split(",")]
        named = LOADED.get(tag)
        if named in values and not (tag == "link" and set(values.get("rel", "").split()) & HARMLESS):
            self.loads.append(values[named])

    def handle_data(self, data: str) -> None:
        """Looks into styles and scripts within the page."""
        if self.raw == "style":
            self.loads += in_style(data)
        elif self.raw == "script":
            self.loads += IN_SCRIPT.findall(data)

    def handle_endtag(self, tag: str) -> None:
        """Ends a style or script."""
        self.raw = ""


def in_style(text: str) -> list[str]:
    """Addresses that a style sheet loads."""
    return [first or second for first, second in STYLE.findall(text)]


@cache
def page_of(path: Path) -> Page:
    """A page that was read."""
    return Page(path.read_text(encoding="utf-8"))


def is_elsewhere(address: str) -> bool:
    """Whether an address is on another server."""
    return bool(urlsplit(address).netloc)


def faults(site: Path) -> Iterator[str]:
    """One sentence for each fault of a site."""
    for path in sorted(site.rglob("*.html")):
        name = path.relative_to(site)
        page = page_of(path)
        for address in page.loads:
            if is_elsewhere(address):
                yield f"{name} loads {address} from another server"
        for address in [*page.loads, *page.links]:
            if fault := broken(site, path, address):
                yield f"{name} links to {address}: {fault}"
    for path in sorted(site.rglob("*.css")):
        for address in in_style(path.read_text(encoding="utf-8")):
            if is_elsewhere(address):
                yield f"{path.relative_to(site)} loads {address} from another server"
    for path in sorted(site.rglob("*.js")):
        for address in IN_SCRIPT.findall(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(site)} loads {address} from another server"


def broken(site: Path, path: Path, address: str) -> str:
    """What is wrong with a link within the site; empty where nothing is, or where it leads elsewhere."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return ""
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_relative_to(site) or not target.is_file():
        return "there is no such file"
    if parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in page_of(target).places:
        return "the page has no such place"
    return ""


def main() -> int:
    """Prints the faults of the site that the command line names; 1 where there are any."""
    site = Path(sys.argv[1]).resolve()
    if not (site / "index.html").is_file():
        sys.exit(f"{site} holds no site: it has no index.html")
    found = list(faults(site))
    print(*found, f"{len(found)} faults in {len(list(site.rglob('*.html')))} pages", sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
