"""The ``logout`` command: deletes the GitHub token from all stores."""

from urllib.parse import urlsplit

from copilot_proxy.cli.console import print_message
from copilot_proxy.host_names import is_loopback
from copilot_proxy.settings import Settings, load_settings


def logout() -> None:
    """Delete the stored GitHub token."""
    from copilot_proxy.auth.stores import Credentials

    settings = load_settings()
    credentials = Credentials.from_settings(settings)
    hosts = credentials.hosts()
    held, failed = credentials.delete()
    for store in held:
        print_message(f"Signed out: the token was deleted from {store.describe()}.")
    environment = credentials.store("environment")
    if environment.load() is not None:
        print_message(
            f"A token is still set in {environment.describe()}, which copilot-proxy cannot change. "
            "It stays in use until you unset it."
        )
    elif not held and not failed:
        print_message("Not signed in: no token is stored.")
    for host in hosts if held and not _is_local(settings) else ():
        print_message(
            "The app is still authorized on GitHub. To revoke the authorization, find GitHub "
            "Copilot at "
            f"https://{host}/settings/apps/authorizations"
        )
    if failed:
        raise failed[0]


def _is_local(settings: Settings) -> bool:
    """Return whether GitHub's URL points to this machine, as with the simulator."""
    return is_loopback(urlsplit(settings.github_url).hostname or "")
