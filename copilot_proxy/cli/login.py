"""The ``login`` command: gets a GitHub token, checks its access to Copilot, and stores it."""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from copilot_proxy.cli.console import (
    confirmed,
    is_interactive,
    print_error,
    print_message,
    stderr_is_tty,
    stdin_is_tty,
)
from copilot_proxy.cli.login_result import report_success
from copilot_proxy.cli.login_source import token_of
from copilot_proxy.errors import NoCopilotAccess, SignInError, StoreError, UpstreamError, UsageError
from copilot_proxy.settings import ENVIRONMENT_PREFIX, Settings, load_settings

if TYPE_CHECKING:
    from copilot_proxy.auth.credential import Credential
    from copilot_proxy.auth.github import GitHub
    from copilot_proxy.auth.stores import Credentials
    from copilot_proxy.auth.verification import Verification
    from copilot_proxy.masking import Secret

_MAX_TOKEN_LENGTH: Final = 1000


class Source(StrEnum):
    """The programs whose sign-in can be reused."""

    gh = "gh"
    copilot_cli = "copilot-cli"
    editor = "editor"


class Store(StrEnum):
    """Where the token can be stored."""

    keyring = "keyring"
    file = "file"


def login(
    host: Annotated[
        str | None,
        typer.Option(help="Your company's GHE.com host, if it has one.", metavar="TENANT.ghe.com"),
    ] = None,
    store: Annotated[
        Store | None,
        typer.Option(help="Where to store the token; the system's keyring by default."),
    ] = None,
    with_token: Annotated[
        bool, typer.Option("--with-token", help="Read a GitHub token from standard input.")
    ] = False,
    source: Annotated[
        Source | None,
        typer.Option("--from", help="Use another program's sign-in, after asking."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Use another program's sign-in without asking.")
    ] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open a browser; only show the URL.")
    ] = False,
) -> None:
    """Sign in to GitHub and store the token."""
    if with_token and source:
        raise UsageError("--with-token and --from cannot be combined.")
    sign_in(
        host=host,
        store=store,
        with_token=with_token,
        source=source,
        yes=yes,
        browser=not no_browser,
    )
    print_message("Start a client with: copilot-proxy run claude")
    print_message("Start the server with: copilot-proxy serve")


def sign_in(
    *,
    host: str | None = None,
    store: Store | None = None,
    with_token: bool = False,
    source: Source | None = None,
    yes: bool = False,
    browser: bool = True,
) -> None:
    """Sign in with an existing token if the arguments select one, otherwise with a new token."""
    import asyncio

    from copilot_proxy.auth import hosts
    from copilot_proxy.auth.stores import Credentials

    settings = load_settings()
    target = hosts.normalize(host) if host is not None else hosts.host_of(settings)
    if host is not None:
        _report_overrides(target, settings)
    credentials = Credentials.from_settings(settings)
    token = _token_from_stdin() if with_token else None
    flags = "--with-token " if with_token else f"--from {source.value} " if source else ""
    flags += f"--host {host} " if host else ""
    flags += "--yes " if yes else ""
    is_asked = source is not None and not yes
    store_name = _choose_store(credentials, store, flags, is_confirmed_later=is_asked)
    if source:
        where = credentials.store(store_name).describe()
        if store_name == Store.file:
            where += ", readable only by you"
        command = f"copilot-proxy login {flags}" + (f"--store {store.value}" if store else "")
        token = token_of(source.value, target, where, yes=yes, command=command.rstrip())
    # A keyring that hangs is a reason to use the file, so it must not delay that.
    _report_existing(credentials.in_a_hurry() if store_name == Store.file else credentials)
    try:
        asyncio.run(_login(settings, target, credentials, store_name, token, browser))
    except KeyboardInterrupt:
        print_message("\nInterrupted: no token was stored.")
        raise


def _report_overrides(host: str, settings: Settings) -> None:
    """Say which URLs are used although ``--host`` names another host."""
    from copilot_proxy.auth import hosts

    for name, url in hosts.overriding(host, settings).items():
        print_message(
            f"{settings.place_of(name)} takes precedence over --host: {url} is used, not {host}."
        )


async def _login(
    settings: Settings,
    host: str,
    credentials: "Credentials",
    store_name: str,
    token: "Secret | None",
    browser: bool,
) -> None:
    from copilot_proxy.auth.credential import Credential
    from copilot_proxy.auth.github import GitHub
    from copilot_proxy.auth.verification import verify
    from copilot_proxy.daemon_threads import run_in_thread
    from copilot_proxy.network.http_clients import make_client

    async with make_client(settings) as client:
        github = GitHub(client, settings, host)
        has_token = token is not None
        credential = Credential(
            token or await _device_flow(github, browser), host, source=store_name
        )
        approved = "" if has_token else "Approved. "
        print_message(f"{approved}Checking that the account has access to Copilot.")
        try:
            verification: Verification | None = await verify(github, credential)
        except NoCopilotAccess as error:
            raise await _with_name(error, github, credential) from None
        except UpstreamError as error:
            if has_token:
                raise
            # If the token were not stored, the user would have to approve the sign-in again.
            check_error, verification = error, None
        login = verification.login if verification else None
        stored = Credential(credential.token, host, login, store_name)
        await run_in_thread(lambda: _store(credentials, stored))
    if verification is None:
        print_error(check_error)
        print_message(
            "The token is stored, but it could not be checked. Check it later with: "
            "copilot-proxy status"
        )
        raise typer.Exit(1)
    report_success(verification, stored, settings)


async def _device_flow(github: "GitHub", browser: bool) -> "Secret":
    """Show a device code, and return the token once the user has entered the code on GitHub."""
    from copilot_proxy.auth.device_flow import wait_for_approval
    from copilot_proxy.cli.login_screen import open_browser, progress, show_code

    code = await github.device_code()
    show_code(code)
    if browser and stderr_is_tty():
        open_browser(code.verification_uri)
    with progress() as report:
        return await wait_for_approval(github, code, report=report)


def _choose_store(
    credentials: "Credentials", wanted: Store | None, flags: str, *, is_confirmed_later: bool
) -> str:
    """Return the name of a writable store. Called first: a token that cannot be stored is useless.

    `flags` are repeated in the command that the hint suggests. With `is_confirmed_later`, this
    function does not ask about the store, because a later question names it. Raises `StoreError` if
    no store is writable.
    """
    if wanted is None:
        reason = credentials.store("keyring").unavailable()
        if reason is None:
            try:
                credentials.store("keyring").check_writable()
            except StoreError as error:
                reason = error.message
        if reason is None:
            return "keyring"
        if not is_interactive():
            raise _no_terminal(reason, flags + "--yes " * is_confirmed_later)
        print_message(reason)
        if not is_confirmed_later:
            _confirm_file(credentials)
        wanted = Store.file
    credentials.store(wanted).check_writable()
    return wanted.value


def _no_terminal(reason: str, flags: str) -> StoreError:
    """Return the error to raise when the keyring is unavailable and there is no terminal."""
    return StoreError(
        f"{reason} There is no terminal to ask where to store the token.",
        hint="To store it in a file that only you can read, run: "
        f"copilot-proxy login {flags}--store file",
    )


def _confirm_file(credentials: "Credentials") -> None:
    """Ask whether to store the token in a file, before there is a token."""
    file = credentials.store("file").describe()
    question = f"After you have signed in, store the token in {file}, readable only by you?"
    if not confirmed(question):
        raise StoreError(
            "Sign-in was not started: without a keyring or a file, there is nowhere to store the "
            "token.",
            hint="Run the command again and answer y to use the file. If you have a token, you can "
            f"set {ENVIRONMENT_PREFIX}GITHUB_TOKEN instead.",
        )


def _token_from_stdin() -> "Secret":
    from copilot_proxy.auth.token_kinds import may_be_token, reject_classic_token
    from copilot_proxy.masking import Secret

    if stdin_is_tty():
        text = typer.prompt("GitHub token", hide_input=True, err=True)
    else:
        text = sys.stdin.readline(_MAX_TOKEN_LENGTH) if sys.stdin is not None else ""
    text = text.strip()
    if not text:
        raise UsageError(
            "There is no token on standard input.",
            hint="Pipe it in: copilot-proxy login --with-token < FILE",
        )
    token = Secret(text)
    reject_classic_token(token, where="from standard input")
    if not may_be_token(token):
        raise UsageError(
            "The text on standard input is not a GitHub token.",
            hint="Pass only the token, such as ghu_..., or sign in with: copilot-proxy login",
        )
    return token


def _report_existing(credentials: "Credentials") -> None:
    """Report which sign-in will be replaced. An unreadable sign-in is replaced silently."""
    from copilot_proxy.auth.stores import EnvironmentStore

    for store in credentials.stores:
        try:
            credential = store.load()
        except StoreError:
            continue
        if credential is None:
            continue
        if isinstance(store, EnvironmentStore):
            print_message(
                f"A token is set in {store.describe()}; it takes precedence over any stored token."
            )
        else:
            name = credential.login or "an unnamed account"
            print_message(
                f"Currently signed in as {name} ({credential.host}); this sign-in will replace it."
            )
            return


def _store(credentials: "Credentials", credential: "Credential") -> None:
    for error in credentials.save(credential, credential.source):
        print_message(f"An older token may remain in another store: {error}")
    print_message(f"The token is stored in {credentials.store(credential.source).describe()}.")


async def _with_name(error: SignInError, github: "GitHub", credential: "Credential") -> SignInError:
    """Return `error` with the account name added to its message."""
    from copilot_proxy.auth.verification import fetch_login

    login = await fetch_login(github, credential)
    if login and login not in error.message:
        error.message = f"Signed in as {login}, but: {error.message}"
    return error
