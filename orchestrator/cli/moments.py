"""Moments as people write them on the command line."""

from datetime import UTC, date, datetime, time

from orchestrator.domain.errors import BadInput
from orchestrator.domain.schedule import local_moment, time_zone

METAVAR = "TIMESTAMP"


def moment(text: str) -> datetime:
    """`2026-12-01 09:00`, in this machine's time or in a zone that is named behind it → the moment, in UTC.

    With an offset (`2026-12-01T09:00+01:00`) it is that. Raises BadInput for what is no moment.
    """
    words = text.split()
    zone = time_zone(words.pop()) if len(words) > 1 and words[-1][:1].isalpha() else None
    try:
        found = datetime.fromisoformat(" ".join(words))
        if zone is not None and found.tzinfo is None:
            return local_moment(date(found.year, found.month, found.day), time(found.hour, found.minute), zone)
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        sentence = f"“{text}” is no moment; write it like “2026-12-01 09:00” or “2026-12-01 09:00 Europe/Berlin”."
        raise BadInput("moment-invalid", sentence) from error
