"""From the command to the page: what must be there, ports, and models that do not fit the data."""

import importlib.util
import socket

import pytest
from commands import dsla

from dsla.errors import ConfigError
from dsla.explore.controls import assigner_choices, changed, controls_of
from dsla.explore.recall import Recall
from dsla.explore.serving import listen
from dsla.recipes import recipe


def test_without_the_server_the_command_says_how_to_get_it(capsys, monkeypatch, data):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "fastapi" else real(name, *rest)
    )
    ran = dsla(capsys, "explore", data)
    assert ran.status == 2 and "explore needs fastapi: pip install 'dsla[explore]'" in ran.err


def test_a_port_that_is_taken_is_told():
    with listen("127.0.0.1", 0) as place:
        place.listen()
        port = place.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"--port {port} on 127.0.0.1: .*; --port 0 takes one that is free"):
            listen("127.0.0.1", port)
    with pytest.raises(ConfigError, match=r"--port 1 on no\.such\.host\.invalid"):
        listen("no.such.host.invalid", 1)
    assert place.family == socket.AF_INET


def test_a_model_of_other_classes_is_refused(capsys, scenes, model):
    ran = dsla(capsys, "explore", scenes, model, "--port", "0")
    assert ran.status == 2 and "pets: the model knows cat, dog and the data" in ran.err


def test_every_assigner_has_controls_that_hold_its_values():
    for name, assigner in assigner_choices(recipe()).items():
        controls = controls_of(assigner)
        values = {control.field: getattr(assigner, control.field) for control in controls}
        assert controls and changed(assigner, values) == assigner, name
        for control in controls:
            assert control.label and control.help.endswith(".")
            assert (control.kind == "choice") == bool(control.choices)


def test_results_are_made_once_and_the_oldest_forgotten():
    made: list[int] = []
    recall: Recall[int] = Recall(2)

    def make(number: int) -> int:
        made.append(number)
        return number

    for number in (1, 2, 1, 3, 1, 2):
        assert recall.get(number, lambda number=number: make(number)) == number
    assert made == [1, 2, 3, 2]
    with pytest.raises(ZeroDivisionError):
        recall.get(9, lambda: 1 // 0)
    assert recall.get(9, lambda: 9) == 9
