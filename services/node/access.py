"""Who may ask what, of those who reach the node's socket: the kernel says which user is asking."""

from __future__ import annotations

from services.app.line_socket import is_trusted, uids
from services.node.api_words import FOR_MANAGERS, Carry, Request, Uncarry, Vouch
from services.node.config import Config


class Access:
    def __init__(self, config: Config) -> None:
        self._tunnel_users, self._key_users = config.tunnel_users, config.key_users

    def refusal(self, uid: int, request: Request) -> str:
        """Why that user may not ask it, or nothing."""
        if is_trusted(uid):
            return ""
        match request:
            case Carry() | Uncarry() if uid not in uids(self._tunnel_users):
                return "only root and the node's tunnel_users may ask that (add yours in node.yaml)"
            case Vouch(purpose=purpose) if uid not in uids(self._key_users.get(purpose, ())):
                return f"only root and the node's key_users of {purpose[:32]!a} may ask that (add yours in node.yaml)"
            case _ if isinstance(request, FOR_MANAGERS):
                return "only root and the node's own user may ask that"
        return ""
