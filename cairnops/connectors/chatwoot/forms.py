"""What the body of a request says, in the encodings that clients of Chatwoot use: JSON, and forms of both kinds."""

import json
from email import message_from_bytes
from email.policy import HTTP
from urllib.parse import parse_qsl


def read(content_type: str, raw: bytes) -> object:
    """The body's value; None for an empty one. Fields of a form are texts; files in it are left out.

    Raises:
        ValueError: when it is not in the encoding it claims.
    """
    if not raw:
        return None
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return dict(parse_qsl(raw.decode(), keep_blank_values=True))
    if kind == "multipart/form-data":
        return _multipart(content_type, raw)
    return json.loads(raw)


def _multipart(content_type: str, raw: bytes) -> dict[str, str]:
    whole = message_from_bytes(b"content-type: " + content_type.encode() + b"\r\n\r\n" + raw, policy=HTTP)
    if not whole.is_multipart():
        raise ValueError("a form without its boundary")
    fields = {}
    for part in whole.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if isinstance(name, str) and part.get_filename() is None:
            payload = part.get_payload(decode=True)
            fields[name] = payload.decode() if isinstance(payload, bytes) else ""
    return fields
