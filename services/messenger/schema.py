"""The tables of the store, and the steps from one version of them to the next. Pure text; `store` runs it.

messages       all that is shown. One's own text is `locked` until everybody has it; then, and others' at once, it lies
               in `text` and in the search index
outbox         what is posted to each peer, by a number that rises by one each: a message's row, or a body, locked
taken          which numbers of each peer's stream were taken already
"""

from __future__ import annotations

STEPS = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE messages (
      number INTEGER PRIMARY KEY AUTOINCREMENT,
      conversation TEXT NOT NULL, sender TEXT NOT NULL, id BLOB NOT NULL, sequence INTEGER NOT NULL,
      kind TEXT NOT NULL, text TEXT, locked BLOB, reply_to BLOB NOT NULL DEFAULT x'', topic TEXT NOT NULL DEFAULT '',
      sent_ms INTEGER NOT NULL, kept_ms INTEGER NOT NULL, state TEXT NOT NULL, is_mine INTEGER NOT NULL,
      nonce BLOB NOT NULL DEFAULT x'', why TEXT NOT NULL DEFAULT '', once TEXT
    );
    CREATE UNIQUE INDEX messages_id ON messages (sender, id);
    CREATE INDEX messages_order ON messages (conversation, sequence);
    CREATE INDEX messages_unread ON messages (conversation, number) WHERE state = 'unread';
    CREATE INDEX messages_waiting ON messages (conversation) WHERE state IN ('waiting', 'boxed');
    CREATE INDEX messages_unseen ON messages (conversation, sequence) WHERE state = 'delivered';
    CREATE UNIQUE INDEX messages_once ON messages (once) WHERE once IS NOT NULL;
    CREATE VIRTUAL TABLE words USING fts5 (text, content='messages', content_rowid='number');
    CREATE TABLE conversations (
      id TEXT PRIMARY KEY, sequence INTEGER NOT NULL DEFAULT 0, last INTEGER NOT NULL DEFAULT 0,
      spoke INTEGER NOT NULL DEFAULT 0, heard INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE TABLE peers (
      node_id TEXT PRIMARY KEY, next INTEGER NOT NULL DEFAULT 1, name TEXT NOT NULL DEFAULT '',
      vouched TEXT NOT NULL DEFAULT '', is_blocked INTEGER NOT NULL DEFAULT 0, key TEXT NOT NULL DEFAULT '',
      heard_ms INTEGER NOT NULL DEFAULT 0,
      mailboxes BLOB NOT NULL DEFAULT x'', told INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE TABLE outbox (
      peer TEXT NOT NULL, number INTEGER NOT NULL, message INTEGER, body BLOB, state TEXT NOT NULL DEFAULT 'waiting',
      made_ms INTEGER NOT NULL, PRIMARY KEY (peer, number)
    ) WITHOUT ROWID;
    CREATE INDEX outbox_message ON outbox (message) WHERE message IS NOT NULL;
    CREATE TABLE taken (
      peer TEXT NOT NULL, stream BLOB NOT NULL, upto INTEGER NOT NULL, beyond BLOB NOT NULL, PRIMARY KEY (peer, stream)
    ) WITHOUT ROWID;
    CREATE TABLE receipts (
      message INTEGER NOT NULL, peer TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (message, peer)
    ) WITHOUT ROWID;
    CREATE INDEX receipts_unseen ON receipts (peer) WHERE state = 'delivered';
    """,
    """
    CREATE TABLE files (
      id BLOB NOT NULL, peer TEXT NOT NULL, message INTEGER NOT NULL, conversation TEXT NOT NULL, name TEXT NOT NULL,
      size INTEGER NOT NULL, digest BLOB NOT NULL, is_mine INTEGER NOT NULL, stage TEXT NOT NULL,
      done INTEGER NOT NULL DEFAULT 0, why TEXT NOT NULL DEFAULT '', made_ms INTEGER NOT NULL, PRIMARY KEY (id, peer)
    ) WITHOUT ROWID;
    CREATE INDEX files_message ON files (message);
    CREATE TABLE groups (
      id TEXT PRIMARY KEY, version INTEGER NOT NULL, signed BLOB NOT NULL, is_member INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE notes (
      number INTEGER PRIMARY KEY AUTOINCREMENT, peer TEXT NOT NULL, topic TEXT NOT NULL, body TEXT NOT NULL,
      sent_ms INTEGER NOT NULL
    );
    CREATE INDEX notes_topic ON notes (topic, number);
    CREATE TABLE onces (once TEXT PRIMARY KEY, made_ms INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE boxes (
      peer TEXT PRIMARY KEY, quota INTEGER NOT NULL, keep_s INTEGER NOT NULL, token BLOB NOT NULL DEFAULT x''
    ) WITHOUT ROWID;
    CREATE TABLE boxed (
      peer TEXT NOT NULL, digest BLOB NOT NULL, number INTEGER NOT NULL, size INTEGER NOT NULL,
      made_ms INTEGER NOT NULL, PRIMARY KEY (peer, digest)
    ) WITHOUT ROWID;
    CREATE INDEX boxed_number ON boxed (peer, number);
    CREATE TABLE mailboxes (
      node_id TEXT PRIMARY KEY, token BLOB NOT NULL, is_agreed INTEGER NOT NULL DEFAULT 0, why TEXT NOT NULL DEFAULT ''
    ) WITHOUT ROWID;
    """,
)
"""Version n is what the first n make. A step that was released is never changed: add another."""
