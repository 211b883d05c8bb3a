"""What the board does: lights, units, power, notifications. Doors take no decisions."""
