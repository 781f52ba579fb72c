"""The hook through which classes below the drawings get their notebook display."""

from __future__ import annotations

import pytest

from clearprop import display


def test_the_display_is_what_the_writer_says(monkeypatch: pytest.MonkeyPatch) -> None:
    class Thing(display.Displayed):
        pass

    monkeypatch.setattr(display, "_writers", [])
    write = display.set_writer(lambda subject: f"<p>{type(subject).__name__}</p>")
    assert Thing()._repr_html_() == "<p>Thing</p>"
    assert display.set_writer(lambda subject: "other") is not write
    assert Thing()._repr_html_() == "other"
