"""From the command to a page that answers: open data and models, take a port, serve until Ctrl-C."""

import importlib.util
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from dsla.config import Config
from dsla.data.single_class import splits_as_single_class
from dsla.data.tables import Kind
from dsla.engine.opening import open_as_trained
from dsla.engine.predict import load
from dsla.engine.predictor import Predictor
from dsla.errors import ConfigError
from dsla.explore.session import Session


def need_server() -> None:
    """Say what is missing before anything is loaded.

    Raises:
        ConfigError: FastAPI or uvicorn is not installed.
    """
    missing = [name for name in ("fastapi", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f"explore needs {' and '.join(missing)}: pip install 'dsla[explore]'")


def open_session(
    data: str, models: Sequence[Path], config: Config, device: str = "cpu", kind: Kind | None = None
) -> Session:
    """Open a data set and models.

    Args:
        data: as in every command.
        models: files or run folders.
        config: settings that labels start from without a model.
        device: where the models run.
        kind: format of the data, if it is to be forced.

    Raises:
        DataError, ModelError: one of them cannot be opened, or they do not fit each other.
    """
    predictors: dict[str, Predictor] = {}
    for path in models:
        predictor = load(path, device)
        predictors[_free(_name(path), predictors)] = predictor
    trained = next((predictor.config.data for predictor in predictors.values()), None)
    splits = open_as_trained(data, trained, kind=kind)
    if predictors and all(predictor.config.data.single_class for predictor in predictors.values()):
        splits = splits_as_single_class(splits)
    name = splits.path.resolve().name if splits.path is not None else "scenes"
    return Session(name, splits, config, predictors)


def listen(host: str, port: int) -> socket.socket:
    """Take a port; 0 is any that is free.

    Raises:
        ConfigError: it is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    place = socket.socket(family, socket.SOCK_STREAM)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        place.bind((host, port))
    except (OSError, OverflowError) as error:
        place.close()
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"--port {port} on {host}: {reason}; --port 0 takes one that is free") from None
    return place


def serve(session: Session, place: socket.socket, host: str, ready: Callable[[str], object]) -> None:
    """Answer until Ctrl-C or SIGTERM.

    Args:
        session: what is explored.
        place: the socket to listen on.
        host: its address, as it was given.
        ready: called with the address of the page, just before it answers.
    """
    import uvicorn

    from dsla.explore.app import create_app

    config = uvicorn.Config(
        create_app(session, host),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        lifespan="off",
    )
    name = f"[{host}]" if ":" in host else host
    ready(f"http://{name}:{place.getsockname()[1]}/")
    try:
        uvicorn.Server(config).run(sockets=[place])
    except KeyboardInterrupt:  # uvicorn has ended by then, and passes the signal on
        pass
    finally:
        session.close()


def _name(path: Path) -> str:
    """A run by its folder, a model file by its own name unless it is the usual one."""
    resolved = path.resolve()
    return resolved.parent.name if resolved.name == "best.safetensors" else resolved.stem


def _free(name: str, taken: dict[str, Predictor]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    return free
