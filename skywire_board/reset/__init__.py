"""Factory reset: the data partition is marked as new in the card's partition table, and the board restarts.

That one sector is the whole decision: before it is written everything is as it was; afterwards the next boot overwrites
what lies on the partition and makes it anew (image/initramfs/mount-data), and goes on with that after a power cut. The
slots, the boot state and the boot partition are not touched.
"""
