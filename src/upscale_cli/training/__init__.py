"""One training loop; a method gives only its step."""
