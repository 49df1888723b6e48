"""What a running process consists of, as HTTP handlers reach it."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web

from media.port import MediaPort
from server.accounts import Accounts
from server.auditor import Auditor
from server.calls import Calls
from server.exports import Exports
from server.keys import Keys, KeyUses
from server.lines import Lines
from server.recordings import Recordings
from server.security import Throttle
from server.settings import Settings
from server.staff import Staff
from server.storage import Storage
from server.webhooks.delivery import Deliverer
from signaling.site import Site


@dataclass(frozen=True, slots=True)
class Demo:
    """What `demo.json` holds (CONTRACT.md)."""

    base_url: str
    console_url: str
    username: str
    password: str
    patient_url: str
    api_key: str


@dataclass(frozen=True, slots=True)
class Services:
    """Built by :mod:`server.app`, in this order; closed in the other."""

    settings: Settings
    base_url: str
    storage: Storage
    accounts: Accounts
    staff: Staff
    keys: Keys
    key_uses: KeyUses
    auditor: Auditor
    media: MediaPort
    calls: Calls
    recordings: Recordings
    site: Site
    lines: Lines
    webhooks: Deliverer
    demo: Demo | None = None
    sign_in_throttle: Throttle = field(default_factory=lambda: Throttle(burst=10, per_s=0.2))
    address_throttle: Throttle = field(default_factory=lambda: Throttle(burst=30, per_s=0.2))
    name_throttle: Throttle = field(default_factory=lambda: Throttle(burst=100, per_s=1))
    webhook_throttle: Throttle = field(default_factory=lambda: Throttle(burst=5, per_s=0.1))
    key_throttle: Throttle = field(default_factory=lambda: Throttle(burst=400, per_s=100))
    exports: Exports = field(default_factory=Exports)


SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
