"""The boards one person commands as one: who they are, how they are asked together, and who may ask this one."""
