"""Settings come from the command line and the environment, and say what is wrong by name."""

from __future__ import annotations

import argparse
import ipaddress
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import SettingsError
from server.settings import OPTIONS, Option, Settings, add_options, parse

NAMES = [option.name for option in OPTIONS]


def test_every_setting_has_exactly_one_option() -> None:
    assert sorted(NAMES) == sorted(f.name for f in fields(Settings))


@pytest.mark.parametrize("option", OPTIONS, ids=NAMES)
def test_every_option_has_help_a_default_and_a_variable(option: Option) -> None:
    assert option.help.strip()
    assert hasattr(Settings(), option.name)
    assert option.variable == "WENZHEN_" + option.name.upper()
    assert option.flag == "--" + option.name.replace("_", "-")


def test_the_help_of_the_command_shows_every_default() -> None:
    parser = argparse.ArgumentParser("wenzhen serve")
    add_options(parser)
    shown = " ".join(parser.format_help().split())
    for option in OPTIONS:
        assert option.flag in shown
    assert shown.count("(default:") == len(OPTIONS)


def test_the_command_line_wins_over_the_environment() -> None:
    environ = {"WENZHEN_PORT": "1", "WENZHEN_MEDIA_PORT": "2"}
    settings = parse(["--port", "3"], environ)
    assert (settings.port, settings.media_port) == (3, 2)


def test_the_environment_alone_is_enough() -> None:
    """A container sets variables, not arguments."""
    settings = Settings.from_env({"WENZHEN_DEMO": "1", "WENZHEN_DATA_DIR": "/var/lib/wenzhen"})
    assert settings.demo
    assert settings.data_dir == Path("/var/lib/wenzhen")


def test_nothing_given_is_the_defaults() -> None:
    assert parse([], {}) == Settings()


def test_a_switch_needs_no_value_and_can_be_turned_off() -> None:
    assert parse(["--demo"], {}).demo
    assert not parse(["--media-tcp", "off"], {}).media_tcp


WRONG = [
    ("port", "65536"),
    ("port", "-1"),
    ("port", "http"),
    ("media_port", ""),
    ("media_udp", "maybe"),
    ("advertise", "clinic.example"),
    ("trusted_proxies", "10.0.0.0/33"),
    ("trusted_proxies", "10.0.0.1/8"),
    ("log_format", "xml"),
    ("session_s", "0"),
    ("drain_s", "soon"),
    ("longest_call_s", "2592001"),
]


@pytest.mark.parametrize(("name", "text"), WRONG)
def test_a_wrong_value_is_refused_by_the_name_it_was_given_by(name: str, text: str) -> None:
    option = next(option for option in OPTIONS if option.name == name)
    with pytest.raises(SettingsError, match=f"^{option.variable}: ") as by_variable:
        Settings.from_env({option.variable: text})
    assert by_variable.value.name == option.variable
    with pytest.raises(SettingsError, match=f"^{option.flag}: "):
        parse([f"{option.flag}={text}"], {})


def test_certificate_and_key_belong_together(tmp_path: Path) -> None:
    cert = tmp_path / "cert.pem"
    cert.touch()
    with pytest.raises(SettingsError, match="--tls-key"):
        parse(["--tls-cert", str(cert)], {})
    with pytest.raises(SettingsError, match=r"^--tls-key: .*is not a file"):
        parse(["--tls-cert", str(cert), "--tls-key", str(tmp_path / "none.pem")], {})


def test_media_need_udp_or_tcp() -> None:
    with pytest.raises(SettingsError, match="--media-udp"):
        parse(["--media-udp", "off", "--media-tcp", "off"], {})


def test_the_public_address_is_a_web_address() -> None:
    with pytest.raises(SettingsError, match="--base-url"):
        parse(["--base-url", "clinic.example"], {})


@pytest.mark.parametrize("url", ["mysql://w:hunter2@db/w", "clinic.db", "postgresql:w:hunter2"])
def test_a_database_of_another_kind_is_refused_and_its_password_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^--database-url: ") as caught:
        parse(["--database-url", url], {})
    assert "hunter2" not in str(caught.value)


def test_the_database_is_in_the_data_folder_unless_named(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).sql_url == f"sqlite:///{tmp_path}/wenzhen.sqlite3"
    assert Settings(database_url="postgresql://db/w").sql_url == "postgresql://db/w"


def reachable(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    mapped = ip.version == 6 and ip.ipv4_mapped is not None
    return not (ip.is_unspecified or ip.is_multicast or ip.is_link_local or mapped)


@pytest.mark.parametrize("text", ["0.0.0.0", "::", "fe80::1", "169.254.0.1", "224.0.0.1"])
def test_no_address_is_advertised_that_browsers_cannot_reach(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^--advertise: .*cannot reach"):
        parse(["--advertise", text], {})


def test_an_ipv4_address_in_ipv6_clothes_is_advertised_as_what_it_is() -> None:
    assert parse(["--advertise", "::ffff:203.0.113.7"], {}).advertise == ("203.0.113.7",)


@given(st.lists(st.ip_addresses().filter(reachable), max_size=5))
def test_lists_of_addresses_are_read_as_they_are_written(
    addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address],
) -> None:
    texts = [str(address) for address in addresses]
    settings = parse(["--advertise=" + ", ".join(texts)], {})
    assert list(settings.advertise) == texts


@given(st.sampled_from(OPTIONS), st.text(max_size=40))
def test_any_text_is_read_or_refused_by_name(option: Option, text: str) -> None:
    """What an operator mistypes never ends in a traceback."""
    try:
        refused = None
        Settings.from_env({option.variable: text})
    except SettingsError as error:
        refused = error.name
    assert refused in {None, option.variable, *(other.flag for other in OPTIONS)}
