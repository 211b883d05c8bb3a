"""Writes the image onto cards and personalises them, without mounting anything: `image/flash`.

`model` holds the words; `bmap` says which blocks of an image count; `disks` looks at disks; `writing` copies and reads
back; `settings` makes the text of skywire.yaml, pure; `boot_partition` is the door to the card's FAT, by mtools;
`asking` asks a person; only `commands` prints.
"""
