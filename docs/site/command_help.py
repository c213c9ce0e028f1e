"""The directive `command-help`: a section per command of skipthink, with its `--help` as the terminal shows it."""

from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from typer.main import get_command
from typer.testing import CliRunner

from skipthink.cli import app

WIDTH = 100
"""Columns of the terminal that the help is written for."""


def command_names() -> Iterator[str]:
    """The commands, those of a group with its name in front, in the order in which `skipthink --help` lists them."""
    for name, command in get_command(app).commands.items():
        parts = getattr(command, "commands", None)
        yield from (f"{name} {part}" for part in parts) if parts else (name,)


def help_of(name: str) -> str:
    """What `skipthink NAME --help` prints.

    Args:
        name: a command, such as `tasks make`; empty for the program itself.
    """
    said = CliRunner().invoke(
        app,
        [*name.split(), "--help"],
        prog_name="skipthink",
        env={"COLUMNS": str(WIDTH), "NO_COLOR": "1", "TERM": "dumb"},
        catch_exceptions=False,
    )
    return said.stdout.strip("\n")


class CommandHelp(SphinxDirective):
    """Sections of all commands; a new command has its section without a change of the page."""

    def run(self) -> list[nodes.Node]:
        """Makes the sections, at every build: no file says whether the program has changed."""
        self.env.note_reread()
        return [self.section(name) for name in ("", *command_names())]

    def section(self, name: str) -> nodes.section:
        """The section of a command: its name as title, its help as a block."""
        title = f"skipthink {name}".strip()
        section = nodes.section(ids=[nodes.make_id(title)], names=[title])
        text = help_of(name)
        section += nodes.title(title, "", nodes.literal(title, title))
        section += nodes.literal_block(text, text, language="text")
        self.state.document.note_explicit_target(section, section)
        return section


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
