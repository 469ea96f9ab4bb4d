"""The wire formats as pure functions and state machines: no I/O, no await, no framework.

Each folder is one API; its `api.py` defines the object that the rest of the program uses. The
object implements `ClientApi`, `UpstreamApi` or both. A request and its response take these steps:

    request   ClientApi.parse -> ClientApi.to_chat -> UpstreamApi.from_chat -> Copilot
    response  client <- ChatWriter (client's events) <- StreamTranslator (chunks) <- Copilot

If the model is called through the client's own API, a `NativePassage` replaces both translations,
and the response passes through a single `StreamTranslator`, which only repairs it.
"""
