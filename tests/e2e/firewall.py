"""A network of loopback alone whose way to the media port is changed while a call runs."""

from __future__ import annotations

from collections.abc import Iterable

from tests.e2e.clock import Sample
from tests.e2e.network import Network, inside

ELSEWHERE = "127.0.0.77"


def uplink(network: Network) -> None:
    """Give the network an interface and a way out that leads nowhere.

    On loopback alone Chromium finds no network and thinks about it for seconds.
    """
    inside(network, "ip", "link", "add", "up0", "type", "veth", "peer", "name", "up1")
    inside(network, "ip", "address", "add", "10.77.0.2/24", "dev", "up0")
    for name in ("up0", "up1"):
        inside(network, "ip", "link", "set", name, "up")
    inside(network, "ip", "route", "add", "default", "via", "10.77.0.1")


def block_udp(network: Network, media_port: int, target: str, *, first: bool = False) -> None:
    """Let no datagram to or from the media port through any more; `target` is REJECT or DROP.

    `first`: whatever was allowed before.
    """
    add = "-I" if first else "-A"
    for program in ("iptables", "ip6tables"):
        for side in ("--dport", "--sport"):
            match = ["INPUT", "-p", "udp", side, str(media_port)]
            inside(network, program, add, *match, "-j", target)


def block_from(
    network: Network,
    media_port: int,
    allowed: Iterable[str],
    protocols: Iterable[str] = ("udp", "tcp"),
) -> None:
    """Refuse everybody but these addresses at the media port."""
    for protocol in protocols:
        rule = ["-A", "INPUT", "-p", protocol, "--dport", str(media_port)]
        for address in allowed:
            inside(network, "iptables", *rule, "-s", address, "-j", "ACCEPT")
        inside(network, "iptables", *rule, "-j", "REJECT")


def deaden(network: Network, ports: Iterable[int]) -> None:
    """Lose what is sent over every socket to these ports that is open now; new ones work.

    So it is when Wi-Fi gives way to the mobile network, and neither end is told.
    """
    served = set(ports)
    for protocol, listing in (("tcp", "-Htn"), ("udp", "-Huna")):
        rows = inside(network, "ss", listing).splitlines()
        local = {int(row.split()[3].rpartition(":")[2]) for row in rows}
        for port in local - served:
            for side in ("--dport", "--sport"):
                match = ["INPUT", "-p", protocol, side, str(port)]
                inside(network, "iptables", "-A", *match, "-j", "DROP")


def rebind(network: Network, media_port: int) -> None:
    """Give what is sent to the media port another source address, as a NAT that lost its state.

    The server's packets are held back meanwhile: the first one would name the old address to the
    translation as the beginning of a connection.
    """
    hold = ["-p", "udp", "--sport", str(media_port), "-j", "DROP"]
    inside(network, "iptables", "-t", "raw", "-A", "OUTPUT", *hold)
    match = ["-t", "nat", "-A", "POSTROUTING", "-p", "udp", "--dport", str(media_port)]
    inside(network, "iptables", *match, "-j", "SNAT", "--to-source", f"{ELSEWHERE}:20000-29999")
    inside(network, "iptables", "-t", "raw", "-D", "OUTPUT", *hold)


def longest_gap_s(samples: Iterable[Sample], since_s: float) -> float:
    """The longest time without a new audio packet, of the samples from `since_s` on."""
    longest_s, last_s, last = 0.0, since_s, -1
    for sample in samples:
        if sample.at_s < since_s or sample.audio_packets <= last:
            continue
        longest_s = max(longest_s, sample.at_s - last_s)
        last_s, last = sample.at_s, sample.audio_packets
    return longest_s
