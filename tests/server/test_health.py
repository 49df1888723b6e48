"""Alive, ready, measured: three different questions."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from server.api import health
from tests.postgres import PostgresServer
from tests.server.clinic import Clinic, opened

DOCS = Path(__file__).resolve().parents[2] / "docs"


async def families(clinic: Clinic) -> dict[str, float]:
    """What a scrape holds: each sample's name and labels, and its value."""
    answer = await clinic.ask("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    return {
        sample.name + "".join(f"{{{v}}}" for v in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_a_running_process_is_alive_and_ready(either: Clinic) -> None:
    assert (await either.ask("GET", "/healthz")).json == {"status": "ok"}
    assert (await either.ask("GET", "/readyz")).json == {"status": "ready"}


async def test_a_process_that_ends_is_alive_but_takes_nothing_new(clinic: Clinic) -> None:
    clinic.services.site.desk.stop()
    assert (await clinic.ask("GET", "/healthz")).status == 200
    (await clinic.ask("GET", "/readyz")).problem(503, "draining")


async def test_without_its_database_a_process_is_alive_but_not_ready(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    """An orchestrator must not kill running calls because the database is away."""
    name = postgres_url.rsplit("/", 1)[1]
    async with opened(tmp_path, database_url=postgres_url) as clinic:
        postgres_server.psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgres_server.psql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        (await clinic.ask("GET", "/readyz")).problem(503, "database_unavailable")
        assert (await clinic.ask("GET", "/healthz")).status == 200
        assert (await clinic.ask("GET", "/metrics")).status == 200
        body = {"patient_name": "x"}
        refused = await clinic.api("POST", "/api/v1/consults", json=body)
        assert refused.status in {500, 503}
        assert "x" not in refused.json["detail"].split()
        postgres_server.psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert (await clinic.ask("GET", "/readyz")).status == 200, "back by itself"


async def test_a_database_that_hangs_makes_it_unready_in_time(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All readers taken: the probe gives up instead of queueing behind them."""
    monkeypatch.setattr(health, "READY_TIMEOUT_S", 0.05)
    taken = [clinic.services.storage.read() for _ in range(4)]
    for reader in taken:
        await reader.__aenter__()
    try:
        async with asyncio.timeout(5):
            (await clinic.ask("GET", "/readyz")).problem(503, "database_unavailable")
    finally:
        for reader in taken:
            await reader.__aexit__(None, None, None)


async def test_metrics_count_what_happens(clinic: Clinic) -> None:
    before = await families(clinic)
    assert before["wenzhen_calls"] == before["wenzhen_calls_billing"] == 0
    assert before["wenzhen_checkpoint_failures_total"] == 0
    assert before["wenzhen_cpu_seconds_total"] > 0
    received = before["wenzhen_media_received_total"]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=("127.0.0.1", clinic.services.media.port)
    )
    transport.sendto(b"\x80garbage of a stranger")
    transport.close()
    async with asyncio.timeout(5):
        while (after := await families(clinic))["wenzhen_media_received_total"] == received:
            pass
    dropped = [name for name in after if name.startswith("wenzhen_media_dropped_total{")]
    assert sum(after[name] for name in dropped) == 1


async def test_no_label_of_a_metric_is_a_person(clinic: Clinic) -> None:
    answer = await clinic.ask("GET", "/metrics")
    assert not re.search(r"[cp]_[0-9a-z]{20}|ph_|org_", answer.text)


async def test_every_metric_is_in_the_operator_s_table(clinic: Clinic) -> None:
    answer = await clinic.ask("GET", "/metrics")
    live = set(re.findall(r"^# TYPE (\S+) ", answer.text, re.MULTILINE))
    text = (DOCS / "operations.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(wenzhen_\w+)", text, re.MULTILINE)) == live
