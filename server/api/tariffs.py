"""An organization's prices: every version, which one is in force, and setting a new one."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from metering import versions
from metering.errors import ValidFromPast
from metering.pricelist import Standing
from metering.tariff import Tariff
from server.api.consults import PhysicianId, Time
from server.api.operation import Operation, authorized, has_form_of_id, refusal
from server.clock import wall_ms
from server.errors import PhysicianUnknown
from server.prices import NewPrices, set_prices, shown
from server.problems import Problem, json_response, read_exact
from server.services import SERVICES

SCOPE = "tariffs"
DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MAX_NUMBER = 2**31 - 1


class NewTariff(BaseModel):
    """A new version. ``physician_id``: for consults booked with this physician alone.
    ``valid_from``: now or later, now if it is left out; it replaces the earlier versions of its
    list from then on. Consults that are ordered keep their prices.
    """

    model_config = ConfigDict(extra="forbid")
    tariff: Tariff
    physician_id: PhysicianId | None = None
    valid_from: Time | None = None


class TariffVersion(BaseModel):
    """A version of the organization's prices, or of one physician's. ``number`` counts the
    organization's versions as they were made; ``digest`` is what patients agree to, and what a
    record names as ``tariff_digest``.
    """

    id: str
    number: int
    physician_id: str | None
    valid_from: str
    standing: Standing
    tariff: Tariff
    digest: str
    created_at: str
    created_by: str


class TariffPage(BaseModel):
    """Versions in the order in which they were made; go on with ``after=next_after``."""

    data: list[TariffVersion]
    next_after: int
    has_more: bool


async def list_tariffs(request: web.Request) -> web.Response:
    """Every version of the organization's prices and of its physicians', or one physician's."""
    key = await authorized(request, SCOPE)
    known = {"after", "limit", "physician_id"}
    if set(request.query) - known or len(request.query) != len(set(request.query)):
        raise Problem(422, "invalid_query", f"only {', '.join(sorted(known))}, each at most once")
    after, limit = _number(request, "after", 0), _number(request, "limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        raise Problem(422, "invalid_limit", f"limit: 1 to {MAX_LIMIT}")
    physician_id = request.query.get("physician_id")
    if physician_id is not None and not has_form_of_id(physician_id):
        raise Problem(422, "invalid_query", "physician_id: an id")
    now_ms, organization_id = wall_ms(), key.organization_id
    async with request.app[SERVICES].storage.read() as conn:
        found = await versions.page(conn, organization_id, physician_id, after, limit + 1)
        in_force = await versions.in_force(conn, organization_id, now_ms)
    data = found[:limit]
    return json_response(
        {
            "data": [shown(one, in_force, now_ms) for one in data],
            "next_after": data[-1].number if data else after,
            "has_more": len(found) > limit,
        }
    )


async def set_tariff(request: web.Request) -> web.Response:
    """Set a new version of the prices, the organization's or one physician's."""
    key = await authorized(request, SCOPE)
    body = await read_exact(request, NewTariff)
    valid_from_ms = int(body.valid_from.timestamp() * 1000) if body.valid_from else None
    new = NewPrices(key.organization_id, body.physician_id, body.tariff, valid_from_ms)
    now_ms = wall_ms()
    try:
        async with request.app[SERVICES].storage.write() as conn:
            version = await set_prices(conn, new, key.actor, now_ms)
            in_force = await versions.in_force(conn, key.organization_id, now_ms)
    except PhysicianUnknown:
        raise Problem(422, "unknown_physician", "physician_id: no such physician") from None
    except ValidFromPast as error:
        raise Problem(422, "valid_from_past", str(error)) from None
    return json_response(shown(version, in_force, now_ms), status=201)


async def read_tariff(request: web.Request) -> web.Response:
    """One version of the prices by its id."""
    key = await authorized(request, SCOPE)
    version_id, version, now_ms = request.match_info["tariff_id"], None, wall_ms()
    if has_form_of_id(version_id):
        async with request.app[SERVICES].storage.read() as conn:
            version = await versions.find(conn, key.organization_id, version_id)
            in_force = await versions.in_force(conn, key.organization_id, now_ms)
    if version is None:
        raise Problem(404, "unknown_tariff", "there is no such version")
    return json_response(shown(version, in_force, now_ms))


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    code = "invalid_limit" if name == "limit" else "invalid_query"
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > MAX_NUMBER:
        raise Problem(422, code, f"{name}: a whole number")
    return int(text)


_PATH = "/api/v1/tariffs"
OPERATIONS = (
    Operation(
        "GET",
        _PATH,
        list_tariffs,
        "List prices",
        {
            200: ("a page", TariffPage),
            422: refusal("a parameter cannot be used", "invalid_query", "invalid_limit"),
        },
        scope=SCOPE,
        query={
            "after": {"type": "integer", "minimum": 0, "maximum": MAX_NUMBER},
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_LIMIT,
                "default": DEFAULT_LIMIT,
            },
            "physician_id": {"type": "string", "pattern": "^[A-Za-z0-9_]{1,128}$"},
        },
    ),
    Operation(
        "POST",
        _PATH,
        set_tariff,
        "Set prices",
        {
            201: ("the new version", TariffVersion),
            422: refusal(
                "a field is wrong; the detail names it", "valid_from_past", "unknown_physician"
            ),
        },
        scope=SCOPE,
        body=NewTariff,
        example={
            "tariff": {
                "voice_fen_per_min": 1097,
                "video_fen_per_min": 2207,
                "platform_share": "0.2",
            }
        },
    ),
    Operation(
        "GET",
        _PATH + "/{tariff_id}",
        read_tariff,
        "One version of the prices",
        {
            200: ("the version", TariffVersion),
            404: refusal("there is no such version", "unknown_tariff"),
        },
        scope=SCOPE,
    ),
)
