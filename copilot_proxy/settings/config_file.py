"""Reads ``config.toml``, and files that contain a secret."""

from pathlib import Path

from copilot_proxy.errors import UsageError


def read_config(path: Path) -> dict[str, object]:
    """Return the settings in the file, by name; `{}` if there is no file. Raises `UsageError`."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors write a byte order mark
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.",
            hint="Make sure that it is a file that you can read.",
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text.", hint="Save it as UTF-8.") from error
    import tomllib  # most users have no such file

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        hint = "Correct the syntax at that position."
        if "Invalid value" in str(error):
            hint += ' Text must be in quotes, as in default_model = "gpt-mini".'
        raise UsageError(f"{path} is not valid TOML: {error}.", hint=hint) from error


def read_secret(path: Path, variable: str) -> str:
    """Return the text of the file `path`, which `variable` names. Raises `UsageError`."""
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        raise UsageError(
            f"The file {path}, named by {variable}, cannot be read: {error.strerror}."
        ) from error
    except UnicodeDecodeError:
        raise UsageError(f"The file {path}, named by {variable}, is not UTF-8 text.") from None
    if not text:
        raise UsageError(f"The file {path}, named by {variable}, is empty.")
    return text
