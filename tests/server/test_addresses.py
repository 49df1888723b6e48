"""What a server tells browsers about where it is."""

from __future__ import annotations

import ipaddress

from server.addresses import local_addresses


def test_a_named_address_is_advertised_alone() -> None:
    assert local_addresses("127.0.0.1") == ("127.0.0.1",)
    assert local_addresses("::1") == ("::1",)


def test_ipv4_alone_advertises_ipv4_alone() -> None:
    assert {ipaddress.ip_address(a).version for a in local_addresses("0.0.0.0")} == {4}


def test_the_unspecified_ipv6_address_stands_for_both_families() -> None:
    """A socket on "::" takes both, so both are offered: every IPv4 one, and IPv6 beside it."""
    both = local_addresses("::")
    assert set(local_addresses("0.0.0.0")) <= set(both)
    assert "::1" in both


def test_loopback_comes_last_and_link_local_not_at_all() -> None:
    found = [ipaddress.ip_address(address) for address in local_addresses("::")]
    assert [a.is_loopback for a in found] == sorted(a.is_loopback for a in found)
    assert not any(a.is_link_local for a in found)
