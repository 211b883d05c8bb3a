"""First-boot set-up: what stands on the boot partition becomes the board's settings, whole or not at all.

`model` holds the words of skywire.yaml; `document` reads YAML with its lines; `imager` turns what Raspberry Pi Imager
wrote into the same words; `plan` decides which files follow, pure; `fat`, `secrets`, `files` and `programs` are the
doors; `apply` is the order of it all, in which a power cut between any two steps repeats harmlessly.
"""
