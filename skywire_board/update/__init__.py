"""Updates: a door to RAUC, the trial of a new slot, the roll back, and migrations of the data that outlives a slot."""
