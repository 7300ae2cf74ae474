"""The server of the page: its files, and the questions that it asks, over HTTP."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from dsla.errors import DslaError
from dsla.explore.guard import Guard
from dsla.explore.session import LabelQuestion, Session, SurveyQuestion, WordQuestion

PAGE = Path(__file__).parent / "page"
_KEEP = {"cache-control": "private, max-age=31536000, immutable"}


def create_app(session: Session, host: str = "127.0.0.1") -> FastAPI:
    """The application.

    Args:
        session: what is explored.
        host: the address that the server listens on; decides whose requests are answered.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, host=host)  # pyright: ignore[reportArgumentType]  # starlette's own type is narrower
    _answer_errors(app)

    @app.get("/api/about")
    def about() -> dict[str, Any]:
        return session.about()

    @app.get("/api/pictures/{split}")
    def pictures(split: str) -> dict[str, Any]:
        return session.pictures.list(split)

    @app.get("/api/pictures/{split}/{index}")
    def truth(split: str, index: int) -> dict[str, Any]:
        return session.pictures.truth(split, index)

    @app.get("/api/pictures/{split}/{index}/picture.jpg")
    def picture(split: str, index: int) -> Response:
        return Response(session.pictures.jpeg(split, index), media_type="image/jpeg", headers=_KEEP)

    @app.get("/api/pictures/{split}/{index}/thumb.jpg")
    def thumb(split: str, index: int) -> Response:
        return Response(session.pictures.thumbnail(split, index), media_type="image/jpeg", headers=_KEEP)

    # JSONResponse, since checking long lists of numbers against a type would take longer than making them.
    @app.post("/api/labels")
    def labels(question: LabelQuestion) -> JSONResponse:
        return JSONResponse(session.labels(question))

    @app.post("/api/word")
    def word(question: WordQuestion) -> JSONResponse:
        return JSONResponse(session.word(question))

    @app.post("/api/survey")
    def survey(question: SurveyQuestion) -> JSONResponse:
        return JSONResponse(session.survey(question))

    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


def _answer_errors(app: FastAPI) -> None:
    """Every error is one sentence in `error`."""

    @app.exception_handler(DslaError)
    def told(_: Request, error: DslaError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 422)

    @app.exception_handler(RequestValidationError)
    def wrong(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"][1:])) or "the question"  # the first part says body or path
        return JSONResponse({"error": f"{where}: {first['msg']}"}, 422)

    @app.exception_handler(HTTPException)
    def nothing(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": "There is nothing at this address."}, error.status_code)

    @app.exception_handler(OSError)
    def unread(_: Request, error: OSError) -> JSONResponse:
        return JSONResponse({"error": f"A file could not be read: {error.strerror or 'unknown reason'}."}, 500)

    @app.exception_handler(Exception)
    def ours(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "A mistake of the program; the terminal says more."}, 500)
