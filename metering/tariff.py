"""A price list, frozen into the consult when the patient agrees to it.

All amounts are integers in fen, the minor unit of the currency. The platform's share is an exact
decimal and is never a binary float, not even while it is read: `0.07` in JSON is seven hundredths.
"""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from metering import chain
from metering.currency import is_known
from metering.errors import TariffError
from metering.terms import Mode

MAX_FEN: Final = 100_000_000
"""One million CNY, or as many minor units of another: no price, minimum or cap is above it."""
MAX_TARIFF_BYTES: Final = 16_384
_SHARE_STEP: Final = Decimal("0.000001")


class Channel(StrEnum):
    """Who delivers the service: insurers reimburse a base rate to public hospitals only."""

    PUBLIC_HOSPITAL = "public_hospital"
    THIRD_PARTY = "third_party"


class FeeBearer(StrEnum):
    """Who bears the platform's share: deducted from the physician's fee, or added on top."""

    PHYSICIAN = "physician"
    PATIENT = "patient"


def _share(value: object) -> str:
    """Give the one canonical text of a share: `0.20`, `0.2` and `2e-1` are all `0.2`."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise ValueError("must be a decimal number from 0 to 1")
    try:
        share = Decimal(str(value))
    except InvalidOperation:
        raise ValueError("must be a decimal number from 0 to 1") from None
    if not share.is_finite() or not 0 <= share <= 1:
        raise ValueError("must be a decimal number from 0 to 1, as 0.2 for 20 %")
    rounded = share.quantize(_SHARE_STEP)
    if rounded != share:
        raise ValueError("may have at most 6 decimals")
    return format(rounded.normalize(), "f") if rounded else "0"


def _currency(value: object) -> object:
    if isinstance(value, str) and not is_known(value):
        raise ValueError("must be an ISO 4217 code of a currency that has a minor unit")
    return value


def _enum(kind: type[StrEnum]) -> BeforeValidator:
    """Read an enum by its value, although the model is strict."""

    def read(value: object) -> StrEnum:
        try:
            return kind(str(value))
        except ValueError:
            raise ValueError(f"must be one of {', '.join(kind)}") from None

    return BeforeValidator(read)


Fen = Annotated[int, Field(ge=0, le=MAX_FEN)]
Increment = Annotated[int, Field(ge=1, le=3600)]
Share = Annotated[str, BeforeValidator(_share, json_schema_input_type=float | str)]


class Tariff(BaseModel):
    """A price list (CONTRACT.md, `quote --tariff FILE`); all fields but the two rates are optional.

    `initial_s`/`increment_s` (60/60, 60/6; 1/1 is per second) round a mode's total in the whole
    consult. `free_s` seconds are taken off before that. `minimum_fen` and `cap_fen` bound the sum.
    `insurer_base_fen` is what an insurer pays of it, to public hospitals only.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    voice_fen_per_min: Fen
    video_fen_per_min: Fen
    initial_s: Increment = 1
    increment_s: Increment = 1
    minimum_fen: Fen = 0
    free_s: Annotated[int, Field(ge=0, le=86_400)] = 0
    cap_fen: Fen | None = None
    currency: Annotated[str, BeforeValidator(_currency), Field(pattern=r"^[A-Z]{3}$")] = "CNY"
    insurer_base_fen: Fen = 0
    channel: Annotated[Channel, _enum(Channel)] = Channel.THIRD_PARTY
    platform_share: Annotated[str, BeforeValidator(_share, json_schema_input_type=float | str)] = (
        "0"
    )
    fee_bearer: Annotated[FeeBearer, _enum(FeeBearer)] = FeeBearer.PHYSICIAN

    @model_validator(mode="after")
    def _bounds_agree(self) -> Tariff:
        if self.cap_fen is not None and self.cap_fen < self.minimum_fen:
            raise ValueError("cap_fen must not be below minimum_fen")
        return self

    @property
    def share(self) -> Fraction:
        """The platform's share, exact, from 0 to 1."""
        return Fraction(self.platform_share)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the RFC 8785 form with all defaults written out.

        It is shown to the patient and stored with the agreement, so two texts that mean the
        same prices have the same digest.
        """
        return hashlib.sha256(self.canonical).hexdigest()

    @property
    def canonical(self) -> bytes:
        """The RFC 8785 form with all defaults written out; `parse_tariff` reads it back."""
        return chain.canonical(self.as_dict())

    def rate_fen_per_min(self, mode: Mode) -> int:
        """Give the price of a minute in `mode`."""
        return self.voice_fen_per_min if mode is Mode.VOICE else self.video_fen_per_min

    def as_dict(self) -> dict[str, Any]:
        """Give JSON-ready values, defaults written out; `parse_tariff` reads them back."""
        return self.model_dump(mode="json")


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise TariffError("the tariff names a field twice")
    return fields


def parse_tariff(text: str | bytes) -> Tariff:
    """Read a tariff from JSON text.

    Raises:
        TariffError: not JSON, an unknown or repeated field, a wrong type, a value out of bounds.
    """
    if len(text) > MAX_TARIFF_BYTES:
        raise TariffError(f"a tariff has at most {MAX_TARIFF_BYTES} bytes")
    try:
        fields = json.loads(text, parse_float=Decimal, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise TariffError(f"the tariff is not JSON: {error}") from None
    return make_tariff(fields)


def make_tariff(fields: object) -> Tariff:
    """Check the fields of a tariff, as they come from JSON.

    Raises:
        TariffError: as `parse_tariff`.
    """
    if not isinstance(fields, dict):
        raise TariffError("the tariff is not a JSON object")
    try:
        return Tariff.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "tariff"
        raise TariffError(f"{name}: {first['msg']}") from None
