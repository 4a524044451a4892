"""Every page's links lead somewhere, and the commands it gives take the options that they name."""

import dataclasses
import functools
import re
import runpy
from pathlib import Path

import pytest

from mindraw.experiment.command import _split

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("bench/**/*.md"))]
LINK = re.compile(r"\]\(([^()\s]+)\)")
FENCED = re.compile(r"^```\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"python\s+(examples|bench)/(\w+)\.py([^`|]*)")
OPTION = re.compile(r"(?<!\S)--([a-z][\w-]*)")
PRESET = re.compile(r"(?<!\S)(--preset) (\w+)")
#: What the experiments take besides their numbers.
ALWAYS = {"preset", "resume", "help"}
by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchors(page):
    """Yield what a page's headings are called in a link, as GitHub makes it of them."""
    for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def quoted(page):
    """Return the lines of a page's blocks, and what stands between backticks in its text."""
    text = page.read_text()
    blocks = "".join(FENCED.findall(text)).splitlines()
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    blocks += re.findall(r"^    (.*)$", text, re.MULTILINE)
    return [line.partition("#")[0] for line in blocks] + re.findall(r"`([^`]+)`", text)


@functools.cache
def presets_of(script):
    return runpy.run_path(str(script)).get("PRESETS")


def options_of(script, preset=()):
    """Return the options that a script takes, by the words that choose a preset."""
    presets = presets_of(script) if script.parent.name == "examples" else None
    if presets is None:
        return set(re.findall(r'"--([a-z][\w-]*)"', script.read_text()))
    fields = dataclasses.fields(presets[_split(presets, preset)[0]])
    return {field.name.replace("_", "-") for field in fields} | ALWAYS


@by_name
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text()):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), link
        assert not anchor or anchor in anchors(there), link


@by_name
def test_commands_take_the_options_they_name(page):
    for text in quoted(page):
        for folder, name, arguments in COMMAND.findall(text):
            preset = [word for words in PRESET.findall(arguments) for word in words]
            known = options_of(ROOT / folder / f"{name}.py", preset)
            assert set(OPTION.findall(arguments)) <= known, (name, arguments)


@by_name
def test_options_by_themselves_are_some_commands(page):
    scripts = [*ROOT.glob("examples/*.py"), *ROOT.glob("bench/*.py")]
    known = set().union(*map(options_of, scripts))
    for text in quoted(page):
        if text.startswith("--"):
            assert set(OPTION.findall(text)) <= known, text


def test_there_is_something_to_look_at():
    counts = {page: sum(len(COMMAND.findall(text)) for text in quoted(page)) for page in PAGES}
    assert counts[ROOT / "README.md"] > 15 and sum(counts.values()) > 80
    assert sum(len(LINK.findall(page.read_text())) for page in PAGES) > 40
