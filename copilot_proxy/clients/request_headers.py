"""How clients identify themselves in requests, which is all that the server needs to know about
them.

This is a separate module so that the server does not have to load the definitions of all clients.
"""

from typing import Final

USER_AGENTS: Final = {
    "claude-code": "claude-cli/",
    "codex": "codex",
    "opencode": "opencode/",
    "kilo": "Kilo-Code/",
    "pi": "pi/",
    "qwen-code": "QwenCode/",
    "continue": "ls/JS",
    "droid": "factory-cli/",
    "gemini-cli": "GeminiCLI",
}
"""The start of each client's ``user-agent`` header. Other clients send the header of an SDK, or an
unknown one."""
SESSION_HEADERS: Final = {
    "claude-code": ("x-claude-code-session-id",),
    "codex": ("session-id", "thread-id"),
    "opencode": ("x-session-id", "x-session-affinity"),
    "kilo": ("x-session-id", "x-session-affinity"),
}
"""The names, in lowercase, of the headers that contain the session id."""
