"""Open data for a model as its training has opened them."""

from dsla.config import DataSettings
from dsla.data import DataSplits, hold_out, open_data
from dsla.data.holdout import same_source
from dsla.data.tables import Kind


def open_as_trained(
    data: str, trained: DataSettings | None, *, kind: Kind | None = None, max_pixels: int | None = None
) -> DataSplits:
    """Open pictures to look at with a model.

    On the data that it was trained on they are read in the same format, and validation pictures that were cut from
    training are the same ones.

    Args:
        data: as in every command.
        trained: what the model was trained with; None without a model.
        kind: the format, if it is to be forced.
        max_pixels: larger pictures are refused; None for the limit of the training.

    Raises:
        DataError: there is nothing there, or it cannot be used as it is.
    """
    if trained is None:
        return open_data(data, kind=kind, max_pixels=max_pixels)
    same = same_source(trained.path, data)
    splits = open_data(data, kind=kind or (trained.kind if same else None), max_pixels=max_pixels or trained.max_pixels)
    return hold_out(splits, trained.val_share, trained.val_seed) if same else splits
