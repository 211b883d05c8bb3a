"""What is said on the sockets of the node, the manager and the messenger: any line is a word or an error."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.lines import encode
from services.manager import api_wire as manager
from services.manager.errors import ManagerError
from services.messenger import api_wire as messenger
from services.messenger.errors import MessengerError
from services.node import api_wire as node
from services.node.errors import NodeError


@pytest.mark.parametrize(
    ("read", "error"),
    [
        (node.read_request, NodeError),
        (manager.read_request, ManagerError),
        (messenger.read_request, MessengerError),
        (messenger.decode_answer, MessengerError),
    ],
)
@given(line=st.one_of(st.binary(max_size=300), st.sampled_from([b'{"do":"status"}', b'{"is":"done"}'])))
def test_any_line_is_a_word_or_an_error(
    read: Callable[[bytes], msgspec.Struct], error: type[Exception], line: bytes
) -> None:
    try:
        word = read(line)
    except error:
        return
    assert read(encode(word)) == word
