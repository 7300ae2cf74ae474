"""One line of JSON an event on standard error: machines read it, and nothing a client sends can forge a line."""

import json
import logging
import sys
import traceback
from datetime import datetime, timezone
from typing import Any


class JsonLines(logging.Formatter):
    """`time`, `level`, `event`, then what the event brings with it (`extra={"data": {...}}`)."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "data", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, ensure_ascii=True, default=str)


def log_to_stderr(*, requests: bool) -> None:
    """Send our events and uvicorn's complaints to standard error; `requests`: one line for each request too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, level in (
        ("dsla.serve", logging.INFO),
        ("dsla.serve.request", logging.INFO if requests else logging.WARNING),
        ("uvicorn", logging.WARNING),
        ("asyncio", logging.ERROR),
    ):
        logger = logging.getLogger(name)
        logger.setLevel(level)
        if name != "dsla.serve.request":  # its parent has the handler
            logger.handlers = [handler]
            logger.propagate = False
