"""The ``chat`` command: asks one question or holds a conversation, without a server."""

import asyncio
import json
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from copilot_proxy.cli.accounting_problems import collected_problems
from copilot_proxy.cli.attachments import check_images, content, is_piped, piped_text, read_image
from copilot_proxy.cli.chat_answer import ask, ask_whole, new_answer, print_notices, usage_summary
from copilot_proxy.cli.chat_options import ChatOptions
from copilot_proxy.cli.completion import complete_model
from copilot_proxy.cli.console import print_message, print_result
from copilot_proxy.cli.default_model import default_model_warning, is_configured
from copilot_proxy.cli.shared_options import SimulateOption, UpstreamOption
from copilot_proxy.cli.sign_in_offer import with_sign_in
from copilot_proxy.cli.simulated_settings import settings_for
from copilot_proxy.composition import check_upstream, make_backend
from copilot_proxy.errors import CopilotProxyError, UsageError, hints_for_simulator

if TYPE_CHECKING:
    from copilot_proxy.composition import Backend
    from copilot_proxy.settings import Settings

_CATALOGUE_TIMEOUT: Final = 10.0
"""Seconds to wait for the model list, which is needed to warn about the default model."""


def chat(
    prompt: Annotated[
        list[str] | None,
        typer.Argument(
            help="The question; piped input is appended to it. Without either, start a "
            "conversation.",
            metavar="[PROMPT]",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="The model to ask: an id, an alias, or a family such as sonnet or gpt-mini.",
            metavar="MODEL",
            autocompletion=complete_model,
        ),
    ] = None,
    system: Annotated[
        str | None,
        typer.Option("--system", "-s", help="Instructions for the model.", metavar="TEXT"),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option("--image", "-i", help="An image to attach; may be repeated.", metavar="FILE"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole completion as JSON.")
    ] = False,
    no_stream: Annotated[
        bool,
        typer.Option("--no-stream", help="Print the answer all at once instead of streaming it."),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Show tokens, time and cost after the answer."),
    ] = False,
    upstream: UpstreamOption = None,
    simulate: SimulateOption = False,
) -> None:
    """Ask a model a question, or start a conversation."""
    with hints_for_simulator(simulate):
        if model is not None and not model.strip():
            raise UsageError("The model name is empty.", hint="See: copilot-proxy models")
        options = ChatOptions(
            model="default" if model is None else model,
            system=system,
            images=[read_image(name) for name in image or ()],
            as_json=as_json,
            stream=not no_stream,
            verbose=verbose,
            simulate=simulate,
        )
        question = _question(" ".join(prompt or ()), options)
    flags = {"upstream": upstream.value if upstream else None}
    with settings_for(flags, simulate=simulate) as (settings, _):
        with_sign_in(lambda: _chat(settings, question, options))


def _chat(settings: "Settings", question: str, options: ChatOptions) -> None:
    """Answer the question; without one, hold a conversation."""
    with collected_problems() as problems, asyncio.Runner() as runner:
        check_upstream(settings)
        backend = runner.run(_open(settings))
        try:
            if options.model == "default" and is_configured(settings):
                runner.run(_warn_about_default(backend, settings))
            if question:
                _ask_once(runner, backend, question, options)
            else:
                from copilot_proxy.cli.conversation import Conversation

                Conversation(backend.relay, runner, options, problems.show).run()
        finally:
            runner.run(backend.aclose())


def _ask_once(
    runner: asyncio.Runner, backend: "Backend", question: str, options: ChatOptions
) -> None:
    try:
        runner.run(_answer(backend, question, options))
    except KeyboardInterrupt:
        print_message("\nStopped.")
        raise


def _question(prompt: str, options: ChatOptions) -> str:
    """Return the prompt plus any piped input, or "" for a conversation. Raises `UsageError`."""
    piped = piped_text()
    question = _joined(prompt, piped)
    flags = "".join(f"-i {shlex.quote(str(image.path))} " for image in options.images)
    if not question and (prompt or piped is not None):
        raise UsageError("The prompt is empty.", hint=f'Try: copilot-proxy chat {flags}"Say hi"')
    if not question and options.as_json:
        raise UsageError(
            "--json needs a prompt.", hint=f'Try: copilot-proxy chat --json {flags}"Say hi"'
        )
    if prompt.strip() and piped is not None and not piped.strip() and is_piped():
        print_message("The piped input is empty; only the prompt is sent.")
    return question


def _joined(prompt: str, piped: str | None) -> str:
    """Return the prompt and the piped input, with an empty line between them."""
    return "\n\n".join(text for text in (prompt.strip(), (piped or "").strip()) if text)


async def _open(settings: "Settings") -> "Backend":
    return make_backend(settings, report=lambda _: None)


async def _warn_about_default(backend: "Backend", settings: "Settings") -> None:
    """Print a warning if the configured default model is not in use, or will be retired."""
    # If the model list cannot be loaded, the question itself will fail with that error.
    with suppress(CopilotProxyError, TimeoutError):
        async with asyncio.timeout(_CATALOGUE_TIMEOUT):
            catalogue = await backend.relay.models.catalogue()
            if warning := default_model_warning(catalogue, settings):
                print_message(warning)


async def _answer(backend: "Backend", question: str, options: ChatOptions) -> None:
    from copilot_proxy.formats.chat_completions.request import check_request

    relay = backend.relay
    messages: list[dict[str, Any]] = []
    if options.system:
        messages.append({"role": "system", "content": options.system})
    messages.append({"role": "user", "content": content(question, options.images)})
    streams = options.stream and not options.as_json
    request = {"model": options.model, "messages": messages, "stream": streams}
    check_request(request)
    if options.images:
        check_images(options.images, await relay.models.model(options.model))
    answer = new_answer()
    if options.as_json:
        completion = await ask_whole(relay, request, answer)
        # Show the model that actually answered, rather than a name such as `default`.
        completion["model"] = answer.record.model or completion.get("model")
        print_result(json.dumps(completion, indent=2, ensure_ascii=False))
        if options.verbose:
            print_message(usage_summary(answer.record))
        return
    await ask(relay, request, answer)
    print_notices(answer, verbose=options.verbose)
