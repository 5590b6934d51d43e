"""Did you mean: the known word that a mistyped one is nearest to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

LONGEST = 64
"""Longer words are no names that somebody mistyped."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word with the fewest slips of typing: a letter too many, missing or wrong, or two
    letters exchanged; of several the one with the most equal letters. Capitals count last. None
    where more than a third of the word would be wrong."""
    if len(word) > LONGEST:
        return None
    most = max(1, len(word) // 3)
    fits = [each for each in known if abs(len(each) - len(word)) <= most]
    ranked = (
        (slips(word.lower(), each.lower()), _other_letters(word, each), each) for each in fits
    )
    distance, _, found = min(ranked, default=(most + 1, 0, ""))
    return found if distance <= most else None


def _other_letters(word: str, other: str) -> int:
    """How many letters of the two words have no equal in the other."""
    one, two = Counter(word), Counter(other)
    return ((one - two) + (two - one)).total()


def slips(word: str, other: str) -> int:
    """The optimal string alignment distance (Damerau and Levenshtein) of two words."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(word, 1):
        two, before, row = before, row, [i]
        for j, expected in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != expected))
            if i > 1 and j > 1 and letter == other[j - 2] and word[i - 2] == expected:
                cost = min(cost, two[j - 2] + 1)
            row.append(cost)
    return row[-1]
