"""What the board notices: the button."""
