"""The exceptions that users of bmnetu see.

Each carries one plain sentence that names file and line, or layer, and says what to do, and each
knows the exit code of the command line. Only the package bmnetu may raise them: ``dialects`` and
``passes`` raise errors of their own, which the driver turns into these.
"""

from __future__ import annotations

from typing import ClassVar


class BmnetuError(Exception):
    """The base of all errors of bmnetu; raised as such, it reports a bug of ours."""

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UsageError(BmnetuError):
    """A flag or an argument is wrong."""

    exit_code: ClassVar[int] = 2


class InputFileError(BmnetuError):
    """A file given by the user is missing, damaged, or not what it should be."""

    exit_code: ClassVar[int] = 3


class UnsupportedError(BmnetuError):
    """A layer, a shape or a wish that cannot be compiled."""

    exit_code: ClassVar[int] = 4


class CompareError(BmnetuError):
    """What the NPU would compute differs from what the CPU computes."""

    exit_code: ClassVar[int] = 5


class FaultError(BmnetuError):
    """A bmodel has commands, records or host layers that are wrong."""

    exit_code: ClassVar[int] = 5


class AccuracyError(BmnetuError):
    """An accuracy that was asked for is not reached."""

    exit_code: ClassVar[int] = 5
