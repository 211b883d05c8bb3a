"""The board in QEMU: real boot chain from U-Boot on, from the card image, with its pins seen and pressed from outside.

`machine` is what differs between the two emulated boards, `card` the throw-away card, `door` QEMU's control sockets,
`pins` the lights and the button behind them, `board` one running emulator, `session` what `image/boot` shows a person.
"""
