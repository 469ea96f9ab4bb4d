"""Tables are added to the end of a TOML file and removed again; the rest is unchanged."""

import tomllib

import pytest

from copilot_proxy.config_edits.document import CannotEdit
from copilot_proxy.config_edits.toml_text import add_tables, remove_tables

TABLES = '[[providers]]\nname = "copilot-proxy"\nurl = "http://x"\n'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# mine\nmodel = 'x' # mine\n",
        "[[providers]]\nname = 'other'",
        "[env]\r\nKEY = 'x'\r\n\r\n",
        "providers.x = 1\n" * 0 + "[a.b]\nc = {d = 1}\n\n\n",
    ],
)
def test_add_and_remove(text: str) -> None:
    """The original text is restored, to the last character."""
    after = add_tables(text, TABLES)

    assert after.startswith(text)
    assert "copilot-proxy" == tomllib.loads(after)["providers"][-1]["name"]
    assert ("\r\n" in text) == ("\r\n" in after.removeprefix(text))
    left = remove_tables(after, TABLES)
    assert left in (text, f"{text}\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("model = ", "is not valid TOML"),
        ("providers = []\n", "in another form"),
        ("[providers]\nx = 1\n", "in another form"),
        ("a = " + "[" * 5000, "is not valid TOML"),
    ],
)
def test_files_that_cannot_be_edited(text: str, reason: str) -> None:
    """A broken file is refused, as is a file in which the tables would mean something else."""
    with pytest.raises(CannotEdit, match=reason):
        add_tables(text, TABLES)
    with pytest.raises(CannotEdit, match="no longer contains the tables"):
        remove_tables(text, TABLES)


def test_a_table() -> None:
    """An existing table is not defined again."""
    with pytest.raises(CannotEdit):
        add_tables("[mine]\na = 1\n", "[mine]\nb = 1\n")
    with pytest.raises(CannotEdit, match="already defines 'mine'"):
        add_tables("[mine.x]\na = 1\n", "[mine.y]\nb = 1\n")
