"""The state of the simulator, which tests can change: account, tokens, settings, records."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from .catalogue import DEFAULT_CATALOGUE, load
from .faults import Faults
from .opaque_strings import OpaqueStrings
from .plans import PLANS, Plan
from .prompt_cache import PromptCache
from .recorder import Concurrency, RecordedRequest, Recorder
from .types import Model

SIMULATED_TOKEN = "ghu_Simu1ated0000000000000000000000000"  # noqa: S105  # opens nothing real
"""An OAuth token that is valid from the start, without a sign-in."""
FOREIGN_TOKEN = "gho_Foreign00000000000000000000000000"  # noqa: S105
"""A valid token of an OAuth app that cannot exchange tokens, but can use them directly."""

EXCHANGING_CLIENTS = {
    "Iv1.b507a08c87ecfe98": "ghu_",
    "01ab8ac9400c4e429b23": "gho_",
    "Ov23liV9UpD7Rnfnskm3": "gho_",
}
"""Id of each client whose tokens may be exchanged -> the prefix of its tokens."""
CLI = "copilot-developer-cli"
"""The integration that may use GitHub tokens directly, even personal access tokens."""
SIMULATED_PAT = "github_pat_Simu1ated00000000000000000000000"
"""A fine-grained personal access token with the permission "Copilot Requests"."""
OTHER_CLIENTS = {
    "Ov23ctDVkRmgkPke0Mmm": "gho_",
    "Ov23li8tweQw6odWQebz": "gho_",
    "178c6fc778ccc68e1d6a": "gho_",
}

HUMAN_PACE = 1 / 60
"""Seconds between two events, at a pace that is pleasant to watch."""


class Options(TypedDict, total=False):
    """The options of `Simulator`; each is also an attribute of its state."""

    pace: float
    plan: str
    device_flow: Sequence[str] | None
    auto_approve: bool
    interval: int
    device_expires_in: int
    refresh_in: int
    expires_in: int
    expires_at: int | None
    github_down: bool
    catalogue: str | list[Model]
    minimum_api_version: str
    minimum_editor: tuple[int, int]
    body_limit: int
    integrations: set[str]
    hosted_tools: set[str]
    middle: int


class DeviceCode:
    """A sign-in that has been started."""

    def __init__(self, client_id: str, interval: int, expires_in: int) -> None:
        self.client_id = client_id
        self.code = secrets.token_hex(20)
        letters = [secrets.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(8)]
        self.user_code = "".join(letters[:4]) + "-" + "".join(letters[4:])
        self.interval = interval
        self.deadline = time.monotonic() + expires_in
        self.polls = 0
        self.last_poll: float | None = None
        self.approved = False
        self.denied = False


@dataclass(kw_only=True)
class Settings:
    """Settings that can be passed at startup and assigned at any later time."""

    pace: float = HUMAN_PACE
    """Seconds between two events of a stream."""
    device_flow: Sequence[str] | None = None
    """The answers to successive polls of a sign-in; the last answer repeats."""
    auto_approve: bool = True
    """Whether to approve a sign-in after two polls if `device_flow` is None."""
    interval: int = 5
    """Seconds that a client must wait between two polls of a sign-in."""
    device_expires_in: int = 899
    refresh_in: int = 1500
    """The ``refresh_in`` of token responses: seconds after which to fetch a new token."""
    expires_in: int = 1800
    """Seconds for which a Copilot token is valid."""
    expires_at: int | None = None
    """The Unix time to state as the expiry of Copilot tokens, as if a clock were wrong. None means
    `expires_in` seconds from now."""
    minimum_api_version: str = "2025-04-01"
    minimum_editor: tuple[int, int] = (1, 100)
    """The oldest accepted VS Code, as (major, minor)."""
    body_limit: int = 5_000_000
    """Size in bytes above which a request body is refused with a 413."""
    integrations: set[str] = field(default_factory=lambda: {"vscode-chat", "jetbrains-chat", CLI})
    """Accepted values of Copilot-Integration-Id."""
    hosted_tools: set[str] = field(default_factory=set)
    """Tool types that the Responses API accepts besides functions, e.g. ``web_search``."""
    middle: int = 3
    """The number of events sent before a mid-stream fault occurs."""
    notification: str | None = None
    """The notification id with which the exchange refuses the account, or None to accept it."""
    prompt_cache: PromptCache | None = None
    """A cache that works like the providers' caches; if None, token counts only imitate one."""
    user_notification: dict[str, str] | None = None
    """A notice to the user in a successful exchange, for example that a trial has ended."""


class State(Settings):
    """All state of the simulator. Attributes may be changed while it runs, from any thread."""

    def __init__(
        self,
        *,
        plan: str = "pro_credits",
        catalogue: str | list[Model] = DEFAULT_CATALOGUE,
        github_down: bool = False,
        faults: Iterable[str] = (),
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.url = ""
        """The URL of the simulator; set when it starts to listen."""
        self.plan = plan
        self.catalogue = load(catalogue) if isinstance(catalogue, str) else catalogue
        """The entries of ``GET /models``; the parameter may also name a built-in catalogue."""
        self.faults = Faults()
        self.recorder = Recorder()
        self.opaque_strings = OpaqueStrings()
        """Creates and verifies the ids, signatures and encrypted content of answers."""
        self.exchanges = 0
        """The number of Copilot tokens issued."""
        self.spent = 0.0
        """Credits, premium requests or messages used since the start, depending on the plan."""
        self.logins: dict[str, DeviceCode] = {}
        self._oauth = {SIMULATED_TOKEN: True, FOREIGN_TOKEN: False, SIMULATED_PAT: False}
        self._copilot: dict[str, float] = {}
        self.github_down = github_down
        for fault in faults:
            name, separator, value = fault.partition("=")
            self.faults.on(name, value=value if separator else None)

    @property
    def plan(self) -> str:
        """The name of the account's plan; see `plans.PLANS`."""
        return self._plan

    @plan.setter
    def plan(self, name: str) -> None:
        if name not in PLANS:
            raise ValueError(f"Unknown plan {name!r}. Plans: {', '.join(PLANS)}")
        self._plan = name

    @property
    def account(self) -> Plan:
        """The account that has the current plan."""
        return PLANS[self._plan]

    @property
    def requests(self) -> list[RecordedRequest]:
        """All recorded requests, oldest first."""
        return self.recorder.records

    @property
    def concurrency(self) -> Concurrency:
        """The current and the peak number of requests in progress."""
        return self.recorder.concurrency

    @property
    def github_down(self) -> bool:
        """Whether connections to github.com and api.github.com fail."""
        return "github_down" in self.faults.listed()["on"]

    @github_down.setter
    def github_down(self, down: bool) -> None:
        if down:
            self.faults.on("github_down")
        else:
            self.faults.off("github_down")

    def begin_login(self, client_id: str) -> DeviceCode:
        """Start a device flow."""
        login = DeviceCode(client_id, self.interval, self.device_expires_in)
        self.logins[login.code] = login
        return login

    def issue_oauth_token(self, client_id: str) -> str:
        """Return a new OAuth token, as at the end of a device flow."""
        prefix = {**EXCHANGING_CLIENTS, **OTHER_CLIENTS}[client_id]
        token = prefix + secrets.token_urlsafe(27).replace("-", "0").replace("_", "1")
        self._oauth[token] = client_id in EXCHANGING_CLIENTS
        return token

    def knows(self, oauth_token: str) -> bool:
        """Return whether GitHub accepts this OAuth token."""
        return oauth_token in self._oauth

    def may_exchange(self, oauth_token: str) -> bool:
        """Return whether the app that this token belongs to may exchange it for Copilot tokens."""
        return self._oauth.get(oauth_token, False)

    def issue_copilot_token(self) -> tuple[str, int]:
        """Return a new Copilot token and its stated expiry in Unix seconds."""
        self.exchanges += 1
        now = int(time.time())
        expires_at = now + self.expires_in if self.expires_at is None else self.expires_at
        account = self.account
        fields = (
            f"tid={secrets.token_hex(16)};exp={expires_at};sku={account.sku};"
            f"proxy-ep=proxy.{account.host}.githubcopilot.com;st=dotcom;ssc=1;chat=1;cit=1;"
            "malfil=1;editor_preview_features=1;ccr=1;mcp=1;sn=0;fcv1=1;rt=1;"
            "client_byok=1;agent_mode=1;agent_mode_auto_approval=1;"
            "ip=203.0.113.7;asn=AS64500"
        )
        token = f"{fields}:{secrets.token_hex(32)}"
        self._copilot[token] = time.monotonic() + self.expires_in
        return token, expires_at

    def copilot_token_age(self, token: str) -> str:
        """Return ``valid``, ``expired`` or ``unknown``."""
        deadline = self._copilot.get(token)
        if deadline is None:
            return "unknown"
        return "valid" if time.monotonic() < deadline else "expired"

    def expire_tokens(self) -> None:
        """Expire every Copilot token issued so far."""
        self._copilot = dict.fromkeys(self._copilot, 0.0)

    def revoke(self) -> None:
        """Revoke all OAuth tokens; a new sign-in issues a valid one again."""
        self._oauth.clear()

    def restore(self) -> None:
        """Undo `revoke` for `SIMULATED_TOKEN`."""
        self._oauth[SIMULATED_TOKEN] = True

    def block(self, notification_id: str = "no_copilot_access") -> None:
        """Make the exchange refuse the account with this notification."""
        self.notification = notification_id

    def unblock(self) -> None:
        """Make the exchange accept the account again."""
        self.notification = None

    def model(self, model_id: str) -> Model | None:
        """Return the first catalogue entry with this model id, or None."""
        return next((one for one in self.catalogue if one.get("id") == model_id), None)
