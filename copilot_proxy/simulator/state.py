"""Everything the simulator knows and a test may turn: accounts, tokens, knobs, records."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from . import catalogue
from .faults import Faults
from .plans import PLANS, Plan
from .recorder import Concurrency, RecordedRequest, Recorder
from .seals import Seals

SIMULATED_TOKEN = "ghu_Simu1ated0000000000000000000000000"  # noqa: S105  # opens nothing real
"""An OAuth token that the simulator knows from the start: nobody has to log in to it."""
FOREIGN_TOKEN = "gho_Foreign00000000000000000000000000"  # noqa: S105
"""A valid token of an OAuth app that GitHub lets not exchange it; good for direct use only."""

EXCHANGING_CLIENTS = {"Iv1.b507a08c87ecfe98": "ghu_", "01ab8ac9400c4e429b23": "gho_"}
"""Client ids whose tokens may be exchanged -> how those tokens begin."""
OTHER_CLIENTS = {"Ov23li8tweQw6odWQebz": "gho_", "178c6fc778ccc68e1d6a": "gho_"}

HUMAN_PACE = 1 / 60
"""Seconds between two events, as a person would watch them arrive."""


class Options(TypedDict, total=False):
    """What `Simulator` can be told; each is also an attribute of its state."""

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
    catalogue: list[dict[str, Any]] | None
    minimum_api_version: str
    minimum_editor: tuple[int, int]
    body_limit: int
    integrations: set[str]
    hosted_tools: set[str]
    middle: int


class DeviceCode:
    """One login that has been begun."""

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
class Knobs:
    """What can be turned by a plain assignment, at the start and at any time after it."""

    pace: float = HUMAN_PACE
    """Seconds between two events of a stream."""
    device_flow: Sequence[str] | None = None
    """Answers to the polls of a login, one after the other; the last one repeats itself."""
    auto_approve: bool = True
    """Without a script: approve a login by itself after two polls."""
    interval: int = 5
    """Seconds that a login asks its client to wait between two polls."""
    device_expires_in: int = 899
    refresh_in: int = 1500
    """Seconds after which token answers ask for a new token."""
    expires_in: int = 1800
    """Seconds for which a Copilot token is good."""
    expires_at: int | None = None
    """What token answers claim instead of now + `expires_in` (unix seconds): a wrong clock."""
    minimum_api_version: str = "2025-04-01"
    minimum_editor: tuple[int, int] = (1, 100)
    """The oldest VS Code that is served, as (major, minor)."""
    body_limit: int = 5_000_000
    """Bytes of a request's body above which the answer is 413."""
    integrations: set[str] = field(default_factory=lambda: {"vscode-chat"})
    """Accepted values of Copilot-Integration-Id."""
    hosted_tools: set[str] = field(default_factory=set)
    """Kinds of tools beside functions that the Responses API takes, such as ``web_search``."""
    middle: int = 3
    """Events that arrive well before something happens in the middle of a stream."""
    notification: str | None = None
    """Why the exchange refuses the account; None when it does not."""
    user_notification: dict[str, str] | None = None
    """What a good exchange has to tell the person, such as the end of a trial."""


class State(Knobs):
    """The simulator's memory. Every attribute may be changed while it runs, from any thread."""

    def __init__(
        self,
        *,
        plan: str = "pro",
        catalogue: list[dict[str, Any]] | None = None,
        github_down: bool = False,
        faults: Iterable[str] = (),
        **knobs: Any,
    ) -> None:
        super().__init__(**knobs)
        self.url = ""
        """The simulator's own address; filled in when it listens."""
        self.plan = plan
        self.catalogue = default_catalogue() if catalogue is None else catalogue
        """The entries of ``GET /models``."""
        self.faults = Faults()
        self.recorder = Recorder()
        self.seals = Seals()
        """Recognises the ids, signatures and encrypted contents of earlier answers."""
        self.exchanges = 0
        """How many Copilot tokens have been given out."""
        self.spent = 0.0
        """Premium requests, or chat messages on a free plan, used since the start."""
        self.logins: dict[str, DeviceCode] = {}
        self._oauth = {SIMULATED_TOKEN: True, FOREIGN_TOKEN: False}
        self._copilot: dict[str, float] = {}
        self.github_down = github_down
        for fault in faults:
            name, given, value = fault.partition("=")
            self.faults.on(name, value=value if given else None)

    @property
    def plan(self) -> str:
        """The name of the account's plan; see `plans.PLANS`."""
        return self._plan

    @plan.setter
    def plan(self, name: str) -> None:
        if name not in PLANS:
            raise ValueError(f"There is no plan named {name!r}. There are: {', '.join(PLANS)}")
        self._plan = name

    @property
    def account(self) -> Plan:
        """The account in its present state."""
        return PLANS[self._plan]

    @property
    def requests(self) -> list[RecordedRequest]:
        """Everything that has been asked, oldest first."""
        return self.recorder.records

    @property
    def concurrency(self) -> Concurrency:
        """How many requests are being answered now, and the most that ever were."""
        return self.recorder.concurrency

    @property
    def github_down(self) -> bool:
        """Whether connections to github.com and api.github.com break."""
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
        """A new OAuth token, as the end of a device flow."""
        prefix = {**EXCHANGING_CLIENTS, **OTHER_CLIENTS}[client_id]
        token = prefix + secrets.token_urlsafe(27).replace("-", "0").replace("_", "1")
        self._oauth[token] = client_id in EXCHANGING_CLIENTS
        return token

    def knows(self, oauth_token: str) -> bool:
        """Whether GitHub accepts this OAuth token."""
        return oauth_token in self._oauth

    def may_exchange(self, oauth_token: str) -> bool:
        """Whether the app that this token belongs to may ask for Copilot tokens."""
        return self._oauth.get(oauth_token, False)

    def issue_copilot_token(self) -> tuple[str, int]:
        """A new Copilot token and when it claims to expire (unix seconds)."""
        self.exchanges += 1
        now = int(time.time())
        expires_at = now + self.expires_in if self.expires_at is None else self.expires_at
        account = self.account
        fields = (
            f"tid={secrets.token_hex(16)};exp={expires_at};sku={account.sku};"
            f"proxy-ep=proxy.{account.host}.githubcopilot.com;st=dotcom;ssc=1;chat=1;cit=1;"
            "malfil=1;editor_preview_features=1;ccr=1;mcp=1;sn=0;fcv1=1;rt=1;"
            "ip=203.0.113.7;asn=AS64500"
        )
        token = f"{fields}:{secrets.token_hex(32)}"
        self._copilot[token] = time.monotonic() + self.expires_in
        return token, expires_at

    def copilot_token_age(self, token: str) -> str:
        """``valid``, ``expired`` or ``unknown``."""
        deadline = self._copilot.get(token)
        if deadline is None:
            return "unknown"
        return "valid" if time.monotonic() < deadline else "expired"

    def expire_tokens(self) -> None:
        """Every Copilot token given out so far is too old from now on."""
        self._copilot = dict.fromkeys(self._copilot, 0.0)

    def revoke(self) -> None:
        """GitHub takes none of the OAuth tokens any more, until somebody logs in again."""
        self._oauth.clear()

    def restore(self) -> None:
        """Undo `revoke` for the token that is known from the start."""
        self._oauth[SIMULATED_TOKEN] = True

    def block(self, notification_id: str = "no_copilot_access") -> None:
        """The exchange refuses the account with this notification."""
        self.notification = notification_id

    def unblock(self) -> None:
        """The exchange accepts the account again."""
        self.notification = None

    def model(self, model_id: str) -> dict[str, Any] | None:
        """The entry of a model; the first one when an id occurs twice."""
        return next((one for one in self.catalogue if one.get("id") == model_id), None)


def default_catalogue() -> list[dict[str, Any]]:
    """A fresh copy of the catalogue that the simulator comes with."""
    return catalogue.load()
