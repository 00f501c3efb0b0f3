"""Entries of a catalogue: names that are safe everywhere, and rules for pictures."""

import pytest

from upscale_cli.weights.entry import AutoRule, check_name

HOSTILE = [
    "", ".", "..", "../m", "..\\m", "a/b", "a\\b", "/etc/passwd", "C:\\m", "C:m", "\\\\host\\share", "//host/share",
    "a\0b", "a\nb", "a\tb", "\x1b[2J", "a\x7f", "CON", "con", "con.pth", "NUL", "nul.tar.gz", "AUX", "PRN", "COM1",
    "com9.x", "LPT1", "CONIN$", "-rf", "--help", ".hidden", "_x", "a..b", "a.", "a ", " a", "a:b", "a*", "a?", "a|b",
    'a"b', "a<b", "a~b", "~", "$HOME", "%TEMP%", "x" * 65, "x" * 300, "é", "ａ", "\u202eabc", "a%2f..", "m\u2215n",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "srrescycgan-aim", "My_Model.v2", "console", "x" * 64, "0"])
def test_harmless_names_stay(name: str) -> None:
    assert check_name(name) == name


def test_a_rule_takes_pictures_between_its_bounds() -> None:
    rule = AutoRule(noise=(2, 9.5), jpeg=(1, 60))
    assert [rule.takes(noise, 60) for noise in (1.9, 2, 9.4, 9.5)] == [False, True, True, False]
    assert [rule.takes(5, jpeg) for jpeg in (1, 60, 61, None)] == [True, True, False, False]


def test_a_rule_without_bounds_takes_everything_and_what_never_was_jpeg_counts_as_100() -> None:
    assert AutoRule().takes(0, None)
    assert AutoRule(jpeg=(90, 100)).takes(0, None)
