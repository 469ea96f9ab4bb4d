"""The ``logout`` command: forgets the GitHub token wherever it is kept."""

from copilot_proxy.cli.console import talk
from copilot_proxy.settings import load_settings


def logout() -> None:
    """Forget the GitHub token on this machine."""
    from copilot_proxy.auth.stores import Credentials

    settings = load_settings()
    credentials = Credentials.from_settings(settings)
    hosts = credentials.hosts()
    held, failed = credentials.delete()
    for store in held:
        talk(f"Signed out: the token was in {store.describe()} and is forgotten.")
    environment = credentials.store("environment")
    if environment.load() is not None:
        talk(
            f"A token is set in {environment.describe()}, which copilot-proxy cannot change: "
            "it stays in use until you remove it."
        )
    elif not held and not failed:
        talk("No token is stored here; there is nothing to forget.")
    for host in hosts if held else ():
        talk(
            "GitHub still remembers the sign-in. To end it there as well, revoke GitHub Copilot's "
            f"app at https://{host}/settings/apps/authorizations"
        )
    if failed:
        raise failed[0]
