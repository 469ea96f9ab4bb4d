"""Ends the work on a request when its client disconnects."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from copilot_proxy.asgi import DISCONNECT, Disconnect, Receive, Scope


async def run_until_disconnect(
    work: Coroutine[Any, Any, None],
    receive: Receive,
    on_disconnect: Callable[[], None] = lambda: None,
    *,
    scope: Scope | None = None,
) -> None:
    """Run `work` until it is done. If the client disconnects first, call `on_disconnect`, cancel
    `work`, and wait for its cleanup."""
    outer = cast("asyncio.Task[Any]", asyncio.current_task())
    # A separate task isolates timeouts inside `work`: only the server cancels `outer`.
    task = asyncio.get_running_loop().create_task(work)
    is_disconnected = False

    def cancel() -> None:
        nonlocal is_disconnected
        # If the server has already cancelled the work, its cleanup must not be interrupted.
        if not outer.cancelling() and not task.done():
            is_disconnected = True
            on_disconnect()
            task.cancel()

    watcher: asyncio.Task[None] | None = None
    state = {} if scope is None else scope.get("state", {})
    disconnect: Disconnect | None = state.get(DISCONNECT)
    if disconnect is not None:
        disconnect.call(cancel)
    else:
        watcher = asyncio.ensure_future(_call_on_disconnect(receive, cancel))
    try:
        # If `outer` is cancelled here, asyncio cancels `task` and waits for it to end.
        await task
    except asyncio.CancelledError:
        if outer.cancelling() or not is_disconnected:
            raise
    finally:
        if disconnect is not None:
            disconnect.forget()
        if watcher is not None:
            watcher.cancel()


async def _call_on_disconnect(receive: Receive, callback: Callable[[], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    callback()
