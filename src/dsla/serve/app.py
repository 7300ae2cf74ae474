"""The paths of the server, as a FastAPI application within its guard."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from dsla.engine.detections import class_indices
from dsla.engine.draw import class_color
from dsla.errors import ConfigError
from dsla.serve.access import OPEN_PATHS
from dsla.serve.answer import Answer, Kind, Wrong, wanted_kind
from dsla.serve.assets import Asset, load_assets
from dsla.serve.detecting import Detecting, Wish
from dsla.serve.guard import Guard
from dsla.serve.metrics import MEDIA_TYPE
from dsla.serve.pictures import TYPES
from dsla.serve.request_error import CODES, ClientGoneError, RequestError
from dsla.serve.service import Service
from dsla.version import __version__

log = logging.getLogger("dsla.serve")

_ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {
        "model": Wrong,
        "description": " ".join(
            f"`{code}`: {meaning}" for code, (its, meaning) in CODES.items() if its == status
        ),
    }
    for status in sorted({status for status, _ in CODES.values()} - {404, 405})
}  # fmt: skip
_DRAWINGS = {"image/jpeg": {}, "image/png": {}}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "required": True,
    "description": "One picture as it is, or several as parts of a form, each with a filename.",
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"file": {"type": "array", "items": {"type": "string", "format": "binary"}}},
            }
        },
        "application/octet-stream": _BINARY,
        **dict.fromkeys(TYPES, _BINARY),
    },
}


def make_app(service: Service) -> Guard:
    """The whole server as an ASGI application."""
    detecting = Detecting(service.model, service.limits, service.metrics)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncGenerator[None]:
        detecting.start()
        yield
        await detecting.stop()
        counted = {name: int(service.metrics.value(f"dsla_{name}_total")) for name in ("accepted", "completed")}
        log.info("stopped", extra={"data": counted})

    app = FastAPI(
        title="dsla", version=__version__, lifespan=life, docs_url=None, redoc_url=None, redirect_slashes=False,
        description="Finds things in pictures. Every answer that is no result is `{code, message}`.",
    )  # fmt: skip
    _leave_errors_to_the_guard(app)
    _add_detect(app, detecting, service.threshold)
    _add_facts(app, service, detecting)
    _add_page(app)
    paths = frozenset((*OPEN_PATHS, "/v1/detect", "/v1/model", "/metrics"))
    return Guard(app, service.access, service.metrics, paths)


def _add_detect(app: FastAPI, detecting: Detecting, default: float) -> None:
    @app.post(
        "/v1/detect", response_model=Answer, responses={**_ANSWERS, 200: {"content": _DRAWINGS}},
        openapi_extra={"requestBody": _BODY}, summary="Find things in one picture or several",
    )  # fmt: skip
    async def detect(
        request: Request,
        threshold: Annotated[float | None, Query(ge=0, le=1, description="Leave out lower scores.")] = None,
        classes: Annotated[
            list[str] | None, Query(alias="class", max_length=1000, description="Only this class; may be repeated.")
        ] = None,
        answer: Annotated[Kind | None, Query(description="Wins over Accept: json, or the picture with boxes.")] = None,
    ) -> Response:
        wish = Wish(
            threshold=default if threshold is None else threshold,
            classes=_known(classes, detecting.model.class_names),
            kind=wanted_kind(answer, request.headers.get("accept")),
        )
        notes: dict[str, Any] = request.scope["state"]["notes"]
        found = await detecting.answer(request.headers, request.receive, wish, notes)
        if found.drawing is not None:
            return Response(found.drawing, media_type=f"image/{wish.kind}")
        content = Answer(
            request_id=request.scope["state"]["request_id"],
            model=detecting.model.name,
            threshold=wish.threshold,
            milliseconds=round(1000 * found.seconds, 1),
            pictures=found.pictures,
        )
        return Response(content.model_dump_json(), media_type="application/json")


def _add_facts(app: FastAPI, service: Service, detecting: Detecting) -> None:
    model = service.model
    facts = {
        "name": model.name,
        "backend": model.backend,
        "longest_side": model.long,
        "classes": [
            {"label": label, "name": name, "color": _css(class_color(label))}
            for label, name in enumerate(model.class_names)
        ],
        "threshold": service.threshold,
        "limits": asdict(service.limits),
        "dsla": __version__,
    }

    @app.get("/v1/model", summary="The model, its classes, and the limits of a request")
    async def model_facts() -> dict[str, Any]:
        return facts

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", summary="Whether the server works")
    async def healthz() -> dict[str, str]:
        if not detecting.batcher.alive:
            raise RequestError(503, "stopping", "nothing is looked at any more")
        return {"status": "ok"}

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", summary="Whether it takes requests")
    async def readyz() -> dict[str, str]:
        if service.stopping() or not detecting.batcher.alive:
            raise RequestError(503, "stopping", "the server is stopping", {"Retry-After": "5"})
        return {"status": "ready"}

    @app.get("/metrics", summary="Figures for Prometheus")
    async def figures() -> Response:
        return Response(service.metrics.text(), media_type=MEDIA_TYPE)


def _add_page(app: FastAPI) -> None:
    assets = load_assets()

    def give(asset: Asset, request: Request) -> Response:
        headers = {"ETag": asset.etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == asset.etag:
            return Response(status_code=304, headers=headers)
        return Response(asset.content, media_type=asset.media_type, headers=headers)

    for path, name in (("/", "index.html"), ("/docs", "docs.html"), ("/favicon.ico", "icon.svg")):
        app.add_api_route(path, _giver(give, assets[name]), methods=["GET", "HEAD"], include_in_schema=False)
    for name, asset in assets.items():
        app.add_api_route(f"/page/{name}", _giver(give, asset), methods=["GET", "HEAD"], include_in_schema=False)


def _giver(give: Any, asset: Asset) -> Any:
    async def endpoint(request: Request) -> Response:
        return give(asset, request)

    return endpoint


def _css(color: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in color)


def _known(classes: list[str] | None, names: tuple[str, ...]) -> tuple[str, ...] | None:
    if classes is None:
        return None
    try:
        class_indices(classes, names)
    except ConfigError as error:
        raise RequestError(422, "bad_parameter", str(error)) from error
    return tuple(classes)


class _Silence(Response):
    """Sends nothing: the guard answers."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        pass


def _leave_errors_to_the_guard(app: FastAPI) -> None:
    """One place answers what goes wrong, whether it went wrong here, in the framework, or before both."""

    def leave(request: Request, error: Exception) -> Response:
        request.scope["state"]["error"] = error
        return _Silence()

    async def invalid(request: Request, error: Exception) -> Response:
        if isinstance(error, RequestValidationError):
            first = error.errors()[0]
            error = RequestError(422, "bad_parameter", f"{first['loc'][-1]}: {first['msg']}")
        return leave(request, error)

    async def routing(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code == 405:
            headers = error.headers or {}
            error = RequestError(405, "method_not_allowed", f"{request.method} is not for this path", headers)
        elif isinstance(error, HTTPException) and error.status_code == 404:
            message = "nothing is here; the page is at /, the interface described at /docs"
            error = RequestError(404, "not_found", message)
        return leave(request, error)

    async def as_it_is(request: Request, error: Exception) -> Response:
        return leave(request, error)

    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, routing)
    for kind in (RequestError, ClientGoneError, Exception):
        app.add_exception_handler(kind, as_it_is)
