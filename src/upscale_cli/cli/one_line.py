"""A message is one line of printable letters, whatever a file's name holds."""


def one_line(text: str) -> str:
    """`text` with line breaks, control characters and broken letters escaped: none moves the cursor or hides a word."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
