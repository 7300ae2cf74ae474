"""A training that starts from a whole detector: weights of everything, and of those classes that have the same name."""

from collections.abc import Sequence

import torch

from dsla.engine.modelfile import ModelFile
from dsla.errors import ModelError
from dsla.models import Detector

_CLASSIFIER = "head.classes."
_BRANCH = "head.quality."  # a method may add it or do without


@torch.no_grad()
def start_from(detector: Detector, file: ModelFile, class_names: Sequence[str]) -> tuple[str, ...]:
    """Load a model's weights into a detector for other classes.

    Classifier rows of classes that both know by the same name are taken over; the others start anew, as the quality
    branch does where the model has none.

    Args:
        detector: just built, of the model's architecture.
        file: the model.
        class_names: of the detector's outputs, in their order.

    Returns the classes that were known.

    Raises:
        ModelError: listing the tensors that one has and the other has not, or that have other shapes.
    """
    fresh = detector.state_dict()
    state = dict(file.state)
    known = tuple(name for name in class_names if name in file.class_names)
    for name in [name for name in fresh if name.startswith(_CLASSIFIER)]:
        rows = fresh[name].clone()
        if name in state and state[name].shape[1:] == rows.shape[1:]:
            there = [file.class_names.index(each) for each in known]
            rows[[class_names.index(each) for each in known]] = state[name][there].to(rows)
        state[name] = rows
    state = {name: tensor for name, tensor in state.items() if name in fresh or not name.startswith(_BRANCH)}
    state |= {name: tensor for name, tensor in fresh.items() if name.startswith(_BRANCH) and name not in state}
    wrong = sorted(fresh.keys() ^ state.keys())
    wrong += [name for name in fresh.keys() & state.keys() if fresh[name].shape != state[name].shape]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ModelError(
            f"{file.path}: another architecture than the settings ask for, by {', '.join(wrong[:5])}{more}; leave the "
            "settings of model out, they come with the file"
        )
    detector.load_state_dict(state)
    return known
