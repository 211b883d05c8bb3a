"""The board's socket: who asks how the board is, says what it is doing, and wants to know of the button."""
