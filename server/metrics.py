"""What `/metrics` shows, read from the live objects when it is asked for."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from server.services import Services
from server.supervise import LOOP_ERRORS


class _Live(Collector):
    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        yield from self._people()
        yield from self._packets()
        yield from self._lines()
        yield from self._admission()
        yield from self._webhooks()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        yield CounterMetricFamily(
            "wenzhen_cpu_seconds", "CPU time of the process", usage.ru_utime + usage.ru_stime
        )

    def _people(self) -> Iterator[Metric]:
        services = self._services
        states = GaugeMetricFamily(
            "wenzhen_consults", "Consults that are not over, by state", labels=["state"]
        )
        counts = Counter(case.core.state for case in services.site.desk.cases())
        for state, count in sorted(counts.items()):
            states.add_metric([state], count)
        yield states
        calls = services.calls
        yield GaugeMetricFamily("wenzhen_calls", "Calls whose media is open", len(calls))
        yield GaugeMetricFamily("wenzhen_calls_billing", "Calls billing now", calls.running())
        yield CounterMetricFamily(
            "wenzhen_checkpoint_failures",
            "Meter checkpoints the database did not take",
            calls.checkpoint_failures,
        )
        yield GaugeMetricFamily(
            "wenzhen_checkpoint_age_seconds",
            "How long ago the meters were written down: what a crash would lose",
            calls.checkpoint_age_ms() / 1000,
        )
        yield CounterMetricFamily(
            "wenzhen_loop_errors", "Errors that no task of ours awaited", LOOP_ERRORS.count
        )
        yield GaugeMetricFamily(
            "wenzhen_loop_lag_seconds",
            "How late the loop woke the ticker, worst of the last minute",
            calls.worst_lag_ms() / 1000,
        )

    def _packets(self) -> Iterator[Metric]:
        counters = self._services.media.counters
        for name, means in (
            ("received", "Datagrams received"),
            ("forwarded", "RTP packets forwarded"),
            ("retransmitted", "RTP packets sent again for a NACK"),
            ("stun", "STUN requests answered"),
            ("path_changes", "Connections that moved to another address"),
            ("handshakes", "DTLS handshakes completed"),
            ("capped", "Participants whose flood was cut off"),
            ("dtls_failures", "DTLS handshakes that failed"),
            ("tcp_refused", "TCP connections over a limit or closed for not being ICE"),
        ):
            yield CounterMetricFamily(f"wenzhen_media_{name}", means, getattr(counters, name))
        dropped = CounterMetricFamily(
            "wenzhen_media_dropped", "Datagrams dropped, by reason", labels=["reason"]
        )
        for reason, count in sorted(counters.dropped.items()):
            dropped.add_metric([reason], count)
        yield dropped

    def _admission(self) -> Iterator[Metric]:
        admission = self._services.calls.admission
        full = GaugeMetricFamily("wenzhen_full", "No new call may begin", labels=["reason"])
        for reason in ("packets", "lag"):
            full.add_metric([reason], int(admission.full == reason))
        yield full
        yield GaugeMetricFamily(
            "wenzhen_packets_per_second",
            "Packets received and sent on, over the last 3 s",
            admission.packets_per_s,
        )
        yield GaugeMetricFamily(
            "wenzhen_calls_expected", "Calls being set up", admission.expected_calls
        )
        yield CounterMetricFamily(
            "wenzhen_takes_refused", "Takes refused by a full node", admission.refused
        )

    def _webhooks(self) -> Iterator[Metric]:
        webhooks = self._services.webhooks
        attempts = CounterMetricFamily(
            "wenzhen_webhook_attempts", "Webhook messages sent, by result", labels=["result"]
        )
        for result, count in sorted(webhooks.results.items()):
            attempts.add_metric([result], count)
        yield attempts
        yield GaugeMetricFamily(
            "wenzhen_webhook_oldest_seconds",
            "For how long the endpoint furthest behind has not been told of a record",
            webhooks.oldest_ms() / 1000,
        )
        yield GaugeMetricFamily(
            "wenzhen_webhooks_disabled", "Webhook endpoints that were given up", webhooks.disabled
        )

    def _lines(self) -> Iterator[Metric]:
        lines = self._services.lines
        levels = GaugeMetricFamily("wenzhen_lines", "Lines in calls, by bars", labels=["level"])
        for level in range(5):
            levels.add_metric([str(level)], lines.levels.get(level, 0))
        yield levels
        for name, means, by_direction in (
            ("jitter_seconds", "Jitter of voice, each second of each line", lines.jitter_s),
            ("loss_ratio", "Packets lost on the way, each second of each line", lines.loss),
            ("mos", "Opinion score of voice (G.107), each second of each line", lines.mos),
        ):
            family = HistogramMetricFamily(f"wenzhen_line_{name}", means, labels=["direction"])
            for direction, found in by_direction.items():
                family.add_metric([direction], buckets=found.buckets(), sum_value=found.sum)
            yield family
        trips = HistogramMetricFamily(
            "wenzhen_line_rtt_seconds", "Round trip, each second of each line"
        )
        trips.add_metric([], buckets=lines.rtt_s.buckets(), sum_value=lines.rtt_s.sum)
        yield trips


def registry_of(services: Services) -> CollectorRegistry:
    """A registry that reads ``services`` at each scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Live(services))
    return registry
