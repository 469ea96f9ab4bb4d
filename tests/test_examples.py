"""The models in the examples in README and docs exist, whatever models Copilot offers."""

import re
from pathlib import Path
from typing import Final

import pytest

from copilot_proxy.catalogue import parse_models
from copilot_proxy.model_names import DEFAULT_FAMILY, resolve
from copilot_proxy.simulator import CATALOGUES
from copilot_proxy.simulator.catalogue import load

ROOT: Final = Path(__file__).parent.parent
DOCUMENTS: Final = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAME: Final = r"[\w.\[\]/*-]+"
NAMED: Final = (
    # JSON, Python, JavaScript, TOML: {"model": "x"}, model="x", model: "x", model = "x"
    re.compile(rf"""\bmodel["']?\s*[:=]\s*["']({NAME})["']"""),
    re.compile(rf"""\bdefault_model\s*=\s*["']({NAME})["']"""),
    # Flags and variables: --model x, -m x, ANTHROPIC_MODEL=x
    re.compile(rf"(?:--model|--default-model|(?<!python)\s-m)[ =]({NAME})"),
    re.compile(rf"\b[A-Z_]*_MODEL=({NAME})"),
)
ALIASES: Final = re.compile(rf"""^\w[\w-]* = "({NAME})"$""", re.M)
LIMITS: Final = re.compile(r"models = \[([^\]]*)\]")
ID: Final = re.compile(r"(?<![\w./-])(?:claude|gpt|gemini|grok|kimi|mai|o\d)-[\w.]*\d[\w.-]*")
"""A model name with a version."""


def code(document: Path) -> list[str]:
    """Return the code blocks and the inline code of a document."""
    text = document.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
    rest = re.sub(r"^```\w*\n(.*?)^```", "", text, flags=re.M | re.S)
    return [*blocks, *re.findall(r"`([^`\n]+)`", rest)]


def examples() -> list[tuple[str, str]]:
    """Return each model that an example names, with its document."""
    found = []
    for document in DOCUMENTS:
        for piece in code(document):
            names = [name for pattern in NAMED for name in pattern.findall(piece)]
            if piece.startswith("[aliases]"):
                names += ALIASES.findall(piece)
            for limit in LIMITS.findall(piece):
                names += [name for name in re.findall(r'"([^"]+)"', limit) if "*" not in name]
            found += [(document.name, name) for name in names if name.isascii()]
    return sorted(set(found))


EXAMPLES: Final = [(where, name) for where, name in examples() if name not in ("MODEL", "NAME")]


def test_examples_are_found() -> None:
    """The patterns above find the examples in each language."""
    assert {
        ("README.md", "default"),
        ("README.md", "claude-sonnet"),
        ("clients.md", "claude-sonnet"),
        ("clients.md", "gpt"),
        ("clients.md", "claude-haiku"),
        ("clients.md", "text-embedding-3-small"),
        ("configuration.md", "gpt-mini"),
    } <= set(EXAMPLES)


@pytest.mark.parametrize(("document", "name"), EXAMPLES)
@pytest.mark.parametrize("time", CATALOGUES)
def test_every_example_gets_an_answer(time: str, document: str, name: str) -> None:
    """A user who copies an example gets an answer, in March, in November, and later.

    Examples of embeddings need an id, since vectors of different models cannot be compared. The
    model with this id may disappear one day.
    """
    if time == "future" and name.startswith("text-embedding-"):
        pytest.skip("an embeddings model has no family")
    catalogue = parse_models(load(time))
    meaning = resolve(catalogue, name, DEFAULT_FAMILY)

    assert meaning is not None, f"{document}: the account of {time} has no {name}"
    assert not meaning.model.needs_enabling


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if path.name != "api.md"], ids=str)
def test_examples_name_no_versions(document: Path) -> None:
    """No example contains a model id, which would be outdated in a few weeks."""
    names = [name for piece in code(document) for name in ID.findall(piece)]

    assert [] == names
