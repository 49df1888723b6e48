"""Which representation a client gets is what its `Accept` says, however odd that is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.api.accept import preferred

JSON, EVENTS = "application/json", "application/cloudevents-batch+json"
WANTED = {
    "": JSON,
    "*/*": JSON,
    "application/*": JSON,
    JSON: JSON,
    EVENTS: EVENTS,
    EVENTS.upper(): EVENTS,
    f"{EVENTS};charset=utf-8": EVENTS,
    f"{EVENTS}, {JSON}": JSON,
    f"{EVENTS}, {JSON};q=0.5": EVENTS,
    f"{EVENTS};q=0.5, {JSON};q=0.4": EVENTS,
    f"{EVENTS}, */*;q=0.1": EVENTS,
    f"*/*, {JSON};q=0": EVENTS,
    f"{EVENTS};q=0": JSON,
    f"{EVENTS};q=high, text/html": EVENTS,
    "text/html": JSON,
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": JSON,
    ",;,=;q": JSON,
}


@pytest.mark.parametrize(("accept", "given"), WANTED.items())
def test_the_type_of_most_weight_is_served(accept: str, given: str) -> None:
    assert preferred(accept, (JSON, EVENTS)) == given


@given(st.text(max_size=200) | st.lists(st.sampled_from([*WANTED, ",", ";q=0.1"])).map("".join))
def test_nothing_a_client_sends_is_an_error(accept: str) -> None:
    assert preferred(accept, (JSON, EVENTS)) in (JSON, EVENTS)
