"""What of the log, which is in RAM, is copied to the card: one packed file per boot, few of them, whole or not there.

`copies` writes and bounds them; the log itself comes from journalctl through a pipe (skywire-log-copy.service).
"""
