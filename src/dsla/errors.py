"""Errors written for the person who will read them: file, record, reason, cure."""


class DslaError(Exception):
    """Anything that a user can put right; the command line prints its message and exits with status 2."""


class DataError(DslaError):
    """A picture, an annotation or a data set is not what it should be."""


class ConfigError(DslaError):
    """A setting is unknown, out of range, or contradicts another."""


class ModelError(DslaError):
    """A model file or its weights cannot be used."""


class TrainingError(DslaError):
    """Training cannot go on, as when a loss is not finite."""
