"""Lists the files that uninstalling would leave behind."""

from collections.abc import Iterator
from pathlib import Path

from copilot_proxy.auth.credential import Credential
from copilot_proxy.auth.keyring_store import SERVICE, KeyringStore
from copilot_proxy.clients.registry import CLIENTS
from copilot_proxy.config_edits.journal import Journal
from copilot_proxy.doctor.check_context import CheckContext
from copilot_proxy.doctor.service import files_of
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.settings import state_dir


def leftovers(context: CheckContext) -> list[str]:
    """Return the files, the folders and the keyring entry that would be left behind."""
    settings = context.settings
    folders = {
        settings.config_file.parent,
        settings.shared_data_dir,
        state_dir(settings.home_dir),
    }
    found = sorted(str(path) for folder in folders for path in _own_files(folder))
    found += [
        str(path)
        for path in (settings.log_file, settings.dump_dir, settings.uds)
        if path is not None and path.exists()
    ]
    found += map(str, files_of(settings))
    for client in CLIENTS:
        for entry in Journal.of(client.name, settings.state_dir).entries:
            found.append(f"{entry.path} (copilot-proxy connect {client.word} --undo)")
    if _is_in_keyring(context):
        found.append(f"the entry {SERVICE!r} in the system keyring (copilot-proxy logout)")
    home = str(Path.home())
    return [path.replace(home, "~") for path in dict.fromkeys(found)]


def _own_files(folder: Path) -> Iterator[Path]:
    try:
        yield from folder.iterdir()
    except OSError:
        return


def _is_in_keyring(context: CheckContext) -> bool:
    try:
        credential = context.account().credential
    except CopilotProxyError:
        return False
    return isinstance(credential, Credential) and credential.source == KeyringStore.name
