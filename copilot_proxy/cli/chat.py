"""The ``chat`` command: one answer, or a conversation, without a server."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from copilot_proxy.cli.attachments import check_images, content, piped_text, read_image
from copilot_proxy.cli.chat_answer import ask, ask_whole, new_answer, remark, spent
from copilot_proxy.cli.chat_options import ChatOptions
from copilot_proxy.cli.console import result, talk
from copilot_proxy.cli.default_model import is_chosen, not_the_wanted
from copilot_proxy.cli.upstream_option import UpstreamOption
from copilot_proxy.composition import check_upstream, make_backend, settings_for
from copilot_proxy.errors import CopilotProxyError, UsageError

if TYPE_CHECKING:
    from copilot_proxy.composition import Backend
    from copilot_proxy.settings import Settings

_PATIENCE: Final = 10.0
"""Seconds that a remark about the model may take."""


def chat(
    prompt: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to ask; what is piped in follows it. Without both: a conversation.",
            metavar="PROMPT",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The model to ask.", metavar="MODEL")
    ] = None,
    system: Annotated[
        str | None,
        typer.Option("--system", "-s", help="Instructions to the model.", metavar="TEXT"),
    ] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option("--image", "-i", help="An image to show; may be repeated.", metavar="FILE"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole completion as JSON.")
    ] = False,
    no_stream: Annotated[
        bool, typer.Option("--no-stream", help="Ask for the answer in one piece.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say in the end what the answer took.")
    ] = False,
    upstream: UpstreamOption = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Ask a simulator; no account is needed.")
    ] = False,
) -> None:
    """Ask a model, or converse with it."""
    if model is not None and not model.strip():
        raise UsageError("A model has a name.", hint="See: copilot-proxy models")
    options = ChatOptions(
        model="default" if model is None else model,
        system=system,
        images=[read_image(path) for path in image or ()],
        as_json=as_json,
        stream=not no_stream,
        verbose=verbose,
    )
    piped = piped_text()
    question = _joined(" ".join(prompt or ()), piped)
    if not question and (prompt or piped is not None):
        raise UsageError("There is nothing to ask.", hint='Try: copilot-proxy chat "Say hi"')
    if not question and as_json:
        raise UsageError("--json needs a question.", hint='Try: copilot-proxy chat --json "Say hi"')
    flags = {"upstream": upstream.value if upstream else None}
    with settings_for(flags, simulate=simulate) as (settings, _), asyncio.Runner() as runner:
        check_upstream(settings)
        connection = runner.run(_open(settings))
        try:
            if options.model == "default" and is_chosen(settings):
                runner.run(_tell_default(connection, settings))
            if question:
                runner.run(_answer(connection, question, options))
            else:
                from copilot_proxy.cli.conversation import Conversation

                Conversation(connection.relay, runner, options).run()
        finally:
            runner.run(connection.aclose())


def _joined(prompt: str, piped: str | None) -> str:
    """The prompt, an empty line, and what was piped in."""
    return "\n\n".join(text for text in (prompt.strip(), (piped or "").strip()) if text)


async def _open(settings: "Settings") -> "Backend":
    return make_backend(settings, report=lambda _: None)


async def _tell_default(connection: "Backend", settings: "Settings") -> None:
    """A word if ``default`` is not the model that the person has set."""
    # Without the list nothing can be told; what is asked next meets the same trouble.
    with suppress(CopilotProxyError, TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            if other := not_the_wanted(await connection.relay.models.models(), settings):
                talk(other)


async def _answer(connection: "Backend", question: str, options: ChatOptions) -> None:
    from copilot_proxy.formats.chat_completions.request import check_request

    relay = connection.relay
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
        # Not the name that was asked for: `default` says nothing about who answered.
        completion["model"] = answer.record.model or completion.get("model")
        result(json.dumps(completion, indent=2, ensure_ascii=False))
        if options.verbose:
            talk(spent(answer.record))
        return
    await ask(relay, request, answer)
    remark(answer, verbose=options.verbose)
