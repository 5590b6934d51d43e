"""docs/records.md"""

from pathlib import Path

from bmnetu.supported.records import page

PAGE = Path(__file__).parents[2] / "docs" / "records.md"


def test_the_page_is_what_the_declarations_say() -> None:
    made = "run python -m bmnetu.supported.records > docs/records.md"
    assert PAGE.read_text() == page(), made
