"""The boot state in raw sectors of the card: `codec` is pure, `card` is the door."""
