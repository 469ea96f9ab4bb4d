"""The ``login`` command: from no token to a stored one that is proved to have Copilot."""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from copilot_proxy.cli.console import problem, someone_answers, someone_watches, talk
from copilot_proxy.errors import NoCopilotAccess, SignInError, StoreError, UpstreamError, UsageError
from copilot_proxy.settings import Settings, load_settings

if TYPE_CHECKING:
    from copilot_proxy.auth.credential import Credential
    from copilot_proxy.auth.github import GitHub
    from copilot_proxy.auth.stores import Credentials
    from copilot_proxy.auth.verification import Verification
    from copilot_proxy.masking import Secret

_LONGEST_TOKEN: Final = 1000


class Store(StrEnum):
    """Where the token may be kept."""

    keyring = "keyring"
    file = "file"


def login(
    host: Annotated[
        str | None,
        typer.Option(
            help="Your company's GHE.com host, if you have one.", metavar="TENANT.ghe.com"
        ),
    ] = None,
    store: Annotated[
        Store | None,
        typer.Option(help="Where to keep the token; the system's keyring by default."),
    ] = None,
    with_token: Annotated[
        bool, typer.Option("--with-token", help="Read a GitHub OAuth token from standard input.")
    ] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only show the address; do not open it.")
    ] = False,
) -> None:
    """Sign in to GitHub and keep the token."""
    import asyncio

    from copilot_proxy.auth import hosts
    from copilot_proxy.auth.stores import Credentials

    settings = load_settings()
    target = hosts.normalize(host) if host is not None else hosts.host_of(settings)
    credentials = Credentials.from_settings(settings)
    token = _token_from_stdin() if with_token else None
    place = _choose_store(credentials, store, "--with-token " if with_token else "")
    _mention_present(credentials)
    try:
        asyncio.run(_login(settings, target, credentials, place, token, not no_browser))
    except KeyboardInterrupt:
        talk("\nInterrupted: nothing was stored.")
        raise


async def _login(
    settings: Settings,
    host: str,
    credentials: "Credentials",
    place: str,
    token: "Secret | None",
    browser: bool,
) -> None:
    from copilot_proxy.auth.credential import Credential
    from copilot_proxy.auth.github import GitHub
    from copilot_proxy.auth.http_clients import make_client
    from copilot_proxy.auth.threads import run_in_thread
    from copilot_proxy.auth.verification import verify

    async with make_client(settings) as client:
        github = GitHub(client, settings, host)
        given = token is not None
        credential = Credential(token or await _approved(github, browser), host, source=place)
        if not given:
            talk("Approved. Checking that the account has Copilot.")
        try:
            proof: Verification | None = await verify(github, credential)
        except NoCopilotAccess as error:
            raise await _with_name(error, github, credential) from None
        except UpstreamError as error:
            if given:
                raise
            # The approval would be lost; the person still has a token that was typed in.
            unproved, proof = error, None
        login = proof.login if proof else None
        kept = Credential(credential.token, host, login, place)
        await run_in_thread(lambda: _keep(credentials, kept))
    if proof is None:
        problem(unproved)
        talk("The token is stored, but unchecked. See later with: copilot-proxy status")
        raise typer.Exit(1)
    _celebrate(proof)


async def _approved(github: "GitHub", browser: bool) -> "Secret":
    """The token, once the person has entered the code."""
    from copilot_proxy.auth.device_flow import wait_for_approval
    from copilot_proxy.cli.login_screen import open_browser, progress, show_code

    code = await github.device_code()
    show_code(code)
    if browser and someone_watches():
        open_browser(code.verification_uri)
    with progress() as report:
        return await wait_for_approval(github, code, report=report)


def _choose_store(credentials: "Credentials", wanted: Store | None, flags: str) -> str:
    """The name of a store that takes a token now; asked for before the sign-in, which would be
    for nothing otherwise."""
    if wanted is None:
        why = credentials.store("keyring").unavailable()
        if why is None:
            try:
                credentials.store("keyring").check_writable()
            except StoreError as error:
                why = error.message
        if why is None:
            return "keyring"
        _ask_for_file(credentials, why, flags)
        wanted = Store.file
    credentials.store(wanted).check_writable()
    return wanted.value


def _ask_for_file(credentials: "Credentials", why: str, flags: str) -> None:
    if not someone_answers():
        raise StoreError(
            f"{why} Nobody is here to say where else to keep the token.",
            hint="To keep it in a file that only you can read: "
            f"copilot-proxy login {flags}--store file",
        )
    where = credentials.store("file").describe()
    talk(why)
    if not typer.confirm(f"Keep the token in {where}, readable only by you?", err=True):
        raise StoreError("There is no place to keep the token.", hint="Nothing was done.")


def _token_from_stdin() -> "Secret":
    from copilot_proxy.auth.token_kinds import reject_personal_token
    from copilot_proxy.masking import Secret

    if sys.stdin.isatty():
        text = typer.prompt("GitHub OAuth token", hide_input=True, err=True)
    else:
        text = sys.stdin.readline(_LONGEST_TOKEN)
    text = text.strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError(
            "Standard input holds no token.",
            hint="Pipe it in: copilot-proxy login --with-token < FILE",
        )
    token = Secret(text)
    reject_personal_token(token, where="from standard input")
    return token


def _mention_present(credentials: "Credentials") -> None:
    """Says whose sign-in is about to be replaced. What cannot be read is replaced silently."""
    from copilot_proxy.auth.stores import EnvironmentStore

    for store in credentials.stores:
        try:
            present = store.load()
        except StoreError:
            continue
        if present is None:
            continue
        if isinstance(store, EnvironmentStore):
            talk(f"A token is set in {store.describe()}; it is used rather than the stored one.")
        else:
            name = present.login or "somebody"
            talk(f"Signed in as {name} ({present.host}) until now; this sign-in replaces it.")
            return


def _keep(credentials: "Credentials", credential: "Credential") -> None:
    for trouble in credentials.save(credential, credential.source):
        talk(f"An older token may be left elsewhere: {trouble}")
    talk(f"The token is in {credentials.store(credential.source).describe()}.")


async def _with_name(error: SignInError, github: "GitHub", credential: "Credential") -> SignInError:
    """`error` with the name of the account, if GitHub's sentence does not say it."""
    from copilot_proxy.auth.verification import fetch_login

    login = await fetch_login(github, credential)
    if login and login not in error.message:
        error.message = f"Signed in as {login}, but: {error.message}"
    return error


def _celebrate(proof: "Verification") -> None:
    models = f", {proof.models} models" if proof.models is not None else ""
    talk(f"Signed in as {proof.login or 'an unnamed account'}, plan {proof.plan}{models}.")
    talk("Start the server with: copilot-proxy serve")
