"""Checks the settings: the file, the variables, and what the settings expose or write."""

from collections.abc import Iterator

from copilot_proxy.api_keys import MIN_KEY_LENGTH
from copilot_proxy.doctor.check_context import CheckContext
from copilot_proxy.doctor.results import Result, broken, from_error, off, ok, warning
from copilot_proxy.private_files import is_open_to_others, privacy_hint
from copilot_proxy.settings import ENVIRONMENT_PREFIX, unknown_variables


def check_settings(context: CheckContext) -> Iterator[Result]:
    """Check whether all settings are valid and known."""
    for error in context.errors:
        yield from_error(error)
    for sentence in unknown_variables(context.environ):
        what, _, near = sentence.partition(" Did you mean ")
        what = what.rstrip(".")
        name, meant = what.rpartition(" ")[2], near.strip("'?")
        yield warning(
            f"{what}, so it has no effect.", f"Rename it to {meant}." if meant else f"Unset {name}."
        )
    settings = context.settings
    # `doctor` has no flags for settings, so any setting with this source was set by the simulator.
    count = sum(source not in ("default", "flag") for source in settings.sources.values())
    if not context.errors:
        file = settings.config_file
        where = file if file.exists() else f"no {file}"
        yield ok(f"{where}; {count or 'no'} setting{'s' * (count != 1)} changed")


def check_exposure(context: CheckContext) -> Iterator[Result]:
    """Check whether other machines can reach the server, and if so, whether they need a key."""
    settings = context.settings
    source = settings.sources.get("host", "default")
    if not settings.reaches_network:
        yield ok("only programs on this machine can connect")
    elif any(len(one.key.reveal()) < MIN_KEY_LENGTH for one in settings.keys):
        yield broken(
            f"The host {settings.host}, as set in {source}, lets other machines connect, but the "
            f"API key has fewer than {MIN_KEY_LENGTH} characters, so the server will not start.",
            "Use a longer key, or remove the host.",
        )
    elif settings.keys:
        yield ok(f"other machines can connect to {settings.host}, with an API key")
    else:
        yield broken(
            f"The host {settings.host}, as set in {source}, lets other machines connect, but there "
            "is no API key, so the server will not start.",
            f"Set {ENVIRONMENT_PREFIX}API_KEY, or remove the host.",
        )


def check_dumps(context: CheckContext) -> Iterator[Result]:
    """Check whether conversations are written to files."""
    folder = context.settings.dump_dir
    if folder is None:
        yield off("off")
        return
    place = context.settings.place_of("dump_dir")
    if folder.exists() and not folder.is_dir():
        yield broken(f"The dump folder {folder} is a file.", f"Change {place}.")
    elif folder.is_dir() and is_open_to_others(folder):
        yield broken(
            f"Other users can read the dump folder {folder}, so the server will not start.",
            privacy_hint(folder),
        )
    else:
        yield warning(
            f"Every conversation is written to {folder}.",
            f"When you are done, remove {place}, and delete the folder.",
        )
