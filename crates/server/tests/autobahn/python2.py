"""What the suite's Python 2 code takes for granted, for the converted copy that `run.py` makes.

A Python 2 `str` is bytes. In the converted suite it is a `str` with one character per byte (Latin-1), so literals, indexing, slicing and
comparing keep their meaning untouched; only where such a string meets real bytes is it translated, and that is here.
`run.py` copies this file into the suite's package.
"""

import binascii

from autobahn.websocket.utf8validator import Utf8Validator as BytesUtf8Validator


def to_bytes(text):
    return text.encode("latin-1") if isinstance(text, str) else text


def to_text(data):
    return data.decode("latin-1") if isinstance(data, (bytes, bytearray)) else data


def b2a_hex(data):
    return binascii.b2a_hex(to_bytes(data)).decode("ascii")


class Utf8Validator(BytesUtf8Validator):
    def validate(self, text):
        return super().validate(to_bytes(text))


class Python2Strings:
    """Stands before the suite's protocol class: what the cases send becomes bytes, what they are shown becomes strings."""

    def sendFrame(self, opcode, payload="", fin=True, rsv=0, mask=None, payload_len=None, chopsize=None, sync=False):
        payload = to_bytes(payload)
        if payload_len is not None:
            # Autobahn repeats the payload with a Python 2 division.
            payload = (payload * (payload_len // len(payload) + 1))[:payload_len]
        super().sendFrame(opcode, payload, fin, rsv, mask, None, chopsize, sync)

    def sendMessage(self, payload, *args, **kwargs):
        super().sendMessage(to_bytes(payload), *args, **kwargs)

    def sendMessageFrameData(self, payload, sync=False):
        return super().sendMessageFrameData(to_bytes(payload), sync)

    def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False):
        super().sendCloseFrame(code, to_bytes(reasonUtf8), isReply)

    def onMessage(self, payload, isBinary):
        super().onMessage(to_text(payload), isBinary)

    def onPong(self, payload):
        super().onPong(to_text(payload))

    def onClose(self, wasClean, code, reason):
        for name in ("localCloseReason", "remoteCloseReason", "http_request_data", "http_response_data"):
            setattr(self, name, to_text(getattr(self, name, None)))  # for the report
        super().onClose(wasClean, code, reason)

    def logRxFrame(self, frameHeader, payload):
        super().logRxFrame(frameHeader, [to_text(part) for part in payload])

    def logTxFrame(self, frameHeader, payload, repeatLength, chopsize, sync):
        super().logTxFrame(frameHeader, to_text(payload), repeatLength, chopsize, sync)
