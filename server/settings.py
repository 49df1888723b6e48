"""Settings: one table, read from the command line and the environment.

Every row of :data:`OPTIONS` is an option ``--name`` and a variable ``WENZHEN_NAME``; the command
line wins. `docs/operations.md` lists all of them, which a test checks.
"""

from __future__ import annotations

import argparse
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from server.errors import SettingsError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
DATABASES: Final = ("sqlite:///", "postgresql://")


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError("a port is 0 to 65535")
    return port


def _seconds(text: str) -> int:
    seconds = int(text)
    if not 1 <= seconds <= 30 * 24 * 3600:
        raise ValueError("seconds: 1 to 2592000")
    return seconds


def _kbps(text: str) -> int:
    kbps = int(text)
    if kbps != 0 and not 100 <= kbps <= 20_000:
        raise ValueError("kbit/s: 100 to 20000, or 0")
    return kbps


def _limit(text: str) -> int:
    limit = int(text)
    if not 0 <= limit <= 10**9:
        raise ValueError("0 (no limit) to 1000000000")
    return limit


def _music(text: str) -> str:
    return "" if text == "none" else text


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 36_500:
        raise ValueError("days: 1 to 36500")
    return days


def _megabytes(text: str) -> int:
    megabytes = int(text)
    if not 0 <= megabytes <= 10**9:
        raise ValueError("megabytes: 0 to 1000000000")
    return megabytes


def _switch(text: str) -> bool:
    if text.lower() not in {"1", "0", "true", "false", "yes", "no", "on", "off"}:
        raise ValueError("on or off")
    return text.lower() in {"1", "true", "yes", "on"}


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(str(_reachable(part.strip())) for part in text.split(",") if part)


def _reachable(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    ip = ipaddress.ip_address(text)
    if ip.version == 6 and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_unspecified or ip.is_multicast or ip.is_link_local:
        raise ValueError("browsers cannot reach such an address")
    return ip


def _ice_urls(schemes: str) -> Callable[[str], tuple[str, ...]]:
    """Read URLs of RFC 7064 (stun) or RFC 7065 (turn), comma separated."""
    form = re.compile(
        rf"(?:{schemes}):(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]*)(?::[0-9]{{1,5}})?"
        + (r"(?:\?transport=(?:udp|tcp))?" if schemes.startswith("turn") else "")
    )

    def read(text: str) -> tuple[str, ...]:
        urls = tuple(part.strip() for part in text.split(",") if part.strip())
        for url in urls:
            if not form.fullmatch(url):
                raise ValueError(f"{url!r} is no {schemes.replace('|', ' or ')} URL")
        return urls

    return read


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part)


def _log_format(text: str) -> str:
    if text not in {"json", "text"}:
        raise ValueError("json or text")
    return text


@dataclass(frozen=True, slots=True)
class Option:
    """One setting: its name in :class:`Settings`, how to read it, and what it does."""

    name: str
    cast: Callable[[str], Any]
    help: str

    @property
    def flag(self) -> str:
        """As on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """As in the environment."""
        return "WENZHEN_" + self.name.upper()

    @property
    def default(self) -> str:
        """What it is when nobody says anything, as one would write it; ``none`` for nothing."""
        value = getattr(Settings(), self.name)
        if isinstance(value, bool):
            return "on" if value else "off"
        return "none" if value in ("", ()) else str(value)


OPTIONS: Final = (
    Option("demo", _switch, "create a demo clinic at the first start and write demo.json"),
    Option("host", str, "address the pages and the API are served at"),
    Option("port", _port, "port of the pages and the API; 0 takes a free one"),
    Option("media_host", str, "address of the media port; the host above when empty"),
    Option("media_port", _port, "UDP and TCP port of all calls; 0 takes a free one"),
    Option("media_udp", _switch, "offer UDP to browsers"),
    Option("media_tcp", _switch, "offer TCP to browsers, for networks without UDP"),
    Option(
        "max_video_kbps", _kbps, "most video that one participant may send, kbit/s; 0: no limit"
    ),
    Option("advertise", _addresses, "addresses browsers reach the media port at, comma separated"),
    Option("stun_urls", _ice_urls("stun|stuns"), "STUN servers for browsers, comma separated"),
    Option(
        "turn_urls", _ice_urls("turn|turns"), "TURN servers (relays) for browsers, comma separated"
    ),
    Option("turn_secret", str, "secret shared with the TURN servers (coturn: static-auth-secret)"),
    Option("turn_ttl_s", _seconds, "how long credentials for the TURN servers are good, seconds"),
    Option("data_dir", Path, "folder of the database and of demo.json"),
    Option(
        "database_url", str, "postgresql://… or sqlite:///…; SQLite in the data folder if empty"
    ),
    Option("redis_url", str, "reserved for several nodes: one node needs and uses none"),
    Option("base_url", str, "public address of the pages, as in https://clinic.example"),
    Option("tls_cert", str, "certificate chain (PEM); cameras need HTTPS off localhost"),
    Option("tls_key", str, "private key of the certificate (PEM)"),
    Option("trusted_proxies", _networks, "networks whose X-Forwarded-For and -Proto are believed"),
    Option("log_format", _log_format, "json, or text for people"),
    Option("timezone", str, "IANA time zone in which the clinic's days and months begin"),
    Option("session_s", _seconds, "how long physicians and staff stay signed in, seconds"),
    Option("drain_s", _seconds, "how long SIGTERM waits for running calls, seconds"),
    Option("offered_s", _seconds, "a patient called and not answering returns to the queue after"),
    Option("connecting_s", _seconds, "media must flow both ways within"),
    Option("interrupted_s", _seconds, "an interrupted call frees its physician after"),
    Option("reopen_s", _seconds, "an interrupted consult may be re-opened for"),
    Option("hung_up_s", _seconds, "a patient who hung up may return for"),
    Option("offline_s", _seconds, "a waiting patient's page is called offline after"),
    Option("dropped_s", _seconds, "a waiting patient who stays away loses the place after"),
    Option("longest_call_s", _seconds, "the longest call"),
    Option("invitation_s", _seconds, "a guest's link that nobody has used yet opens for"),
    Option(
        "max_packets_per_s",
        _limit,
        "no new call above so many packets received and sent on a second; a video call has 600",
    ),
    Option("max_loop_lag_ms", _limit, "no new call while the process is typically so late"),
    Option("hold_music", _music, "Ogg or WebM file with Opus for who is on hold; built-in or none"),
    Option("recording", _switch, "let physicians ask to record calls"),
    Option("recording_retention_days", _days, "recordings are deleted after, days"),
    Option("recording_min_free_mb", _megabytes, "recordings stop when less is free on their disk"),
    Option("webhook_private", _switch, "let webhooks go to private addresses, and by http"),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the process was told. Build it with :meth:`from_args` or :meth:`from_env`."""

    demo: bool = False
    host: str = "127.0.0.1"
    port: int = 8080
    media_host: str = ""
    media_port: int = 8081
    media_udp: bool = True
    media_tcp: bool = True
    max_video_kbps: int = 0
    advertise: tuple[str, ...] = ()
    stun_urls: tuple[str, ...] = ()
    turn_urls: tuple[str, ...] = ()
    turn_secret: str = field(default="", repr=False)
    turn_ttl_s: int = 3600
    data_dir: Path = field(default_factory=lambda: Path("data"))
    database_url: str = ""
    redis_url: str = ""
    base_url: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    trusted_proxies: tuple[Network, ...] = ()
    log_format: str = "text"
    timezone: str = "Asia/Shanghai"
    session_s: int = 12 * 3600
    drain_s: int = 30
    offered_s: int = 45
    connecting_s: int = 30
    interrupted_s: int = 120
    reopen_s: int = 15 * 60
    hung_up_s: int = 60
    offline_s: int = 30
    dropped_s: int = 10 * 60
    longest_call_s: int = 60 * 60
    invitation_s: int = 15 * 60
    max_packets_per_s: int = 100_000
    max_loop_lag_ms: int = 100
    hold_music: str = "built-in"
    recording: bool = False
    recording_retention_days: int = 3 * 365 + 1
    recording_min_free_mb: int = 500
    webhook_private: bool = False

    def __post_init__(self) -> None:
        if bool(self.tls_cert) != bool(self.tls_key):
            raise SettingsError("--tls-cert", "needs --tls-key, and the other way round")
        for name in ("tls_cert", "tls_key"):
            path = getattr(self, name)
            if path and not Path(path).is_file():
                raise SettingsError(f"--{name.replace('_', '-')}", f"{path} is not a file")
        if self.base_url and not self.base_url.startswith(("https://", "http://")):
            raise SettingsError("--base-url", "starts with https:// or http://")
        if self.database_url and not self.database_url.startswith(DATABASES):
            # not repeated here: a password may be in it
            raise SettingsError("--database-url", f"starts with {' or '.join(DATABASES)}")
        if bool(self.turn_urls) != bool(self.turn_secret):
            raise SettingsError("--turn-urls", "needs --turn-secret, and the other way round")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, OSError, ValueError) as error:
            raise SettingsError("--timezone", "not in this machine's tzdata (IANA)") from error
        if not (self.media_udp or self.media_tcp):
            raise SettingsError("--media-udp", "UDP and TCP cannot both be off")

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of :attr:`timezone`."""
        return ZoneInfo(self.timezone)

    @property
    def sql_url(self) -> str:
        """Where the database is: ``database_url``, or SQLite in the data folder."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute()}/wenzhen.sqlite3"

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read ``WENZHEN_*``; what is not there keeps its default.

        Raises:
            SettingsError: a variable cannot be read; names it.
        """
        return cls(**_read(environ, {}))

    @classmethod
    def from_args(cls, args: argparse.Namespace, environ: Mapping[str, str]) -> Settings:
        """Read the options that :func:`add_options` declared, then the environment.

        Raises:
            SettingsError: as :meth:`from_env`.
        """
        given = {o.name: value for o in OPTIONS if (value := getattr(args, o.name)) is not None}
        return cls(**_read(environ, given))


def _read(environ: Mapping[str, str], given: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for option in OPTIONS:
        name = option.flag if option.name in given else option.variable
        text = given.get(option.name, environ.get(option.variable))
        if text is None:
            continue
        try:
            values[option.name] = option.cast(text)
        except ValueError as error:
            raise SettingsError(name, f"{text!r} cannot be used: {error}") from error
    return values


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare every setting as an option of ``parser``, with its default in the help."""
    for option in OPTIONS:
        switch: dict[str, Any] = {"nargs": "?", "const": "on"} if option.cast is _switch else {}
        parser.add_argument(
            option.flag,
            metavar=option.name.upper(),
            help=f"{option.help} (default: {option.default})",
            **switch,
        )


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Settings of ``wenzhen serve ARGV``, for tests and embedding."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    return Settings.from_args(parser.parse_args(argv), environ)
