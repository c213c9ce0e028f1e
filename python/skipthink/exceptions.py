"""Exceptions of skipthink: `SkipthinkError` and its kinds, each also a built-in one."""


class SkipthinkError(Exception):
    """Base of every error that skipthink raises itself."""


class InvalidInputError(SkipthinkError, ValueError):
    """An argument has a wrong value, shape or length."""


class InvalidTypeError(SkipthinkError, TypeError):
    """An argument has a wrong type."""


class DataError(SkipthinkError, ValueError):
    """A file or data set cannot be used as it is."""


class RecipeError(SkipthinkError, ValueError):
    """A recipe cannot be read, or holds a wrong key or value."""


class RunError(SkipthinkError, RuntimeError):
    """A run cannot start or go on."""


class LedgerError(SkipthinkError, RuntimeError):
    """A skip ledger is asked for, or told, what cannot be."""
