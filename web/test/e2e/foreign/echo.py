"""The other side of crates/peer/examples/every_channel.rs, on aiortc.

`python echo.py offer` or `answer`; descriptions are lines on stdin and stdout, as JSON. `echo.js` does the same for W3C WebRTC.
"""

import asyncio
import json
import sys

from aiortc import RTCPeerConnection, RTCSessionDescription

PING, PONG, GOODBYE = 8, 9, 10


def send_back(channel):
    """Of the main channel a ping is answered, messages go back as they are; of others everything."""

    @channel.on("message")
    def heard(data):
        if channel.protocol != "crowfly.1":
            channel.send(data)
        elif data[0] & 0x0F == PING:
            channel.send(bytes([PONG]) + data[1:])
        elif data[0] & 0x0F not in (PONG, GOODBYE):
            channel.send(data)


def open_channels(connection, kinds):
    for kind in kinds:
        send_back(connection.createDataChannel("theirs: " + kind["label"], **kind["options"]))


async def line():
    return await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


def tell(connection):
    ours = connection.localDescription
    print(json.dumps({"type": ours.type, "sdp": ours.sdp}), flush=True)


async def main():
    role, kinds = sys.argv[1], json.loads(sys.argv[2])
    connection = RTCPeerConnection()
    connection.on("datachannel", send_back)
    send_back(connection.createDataChannel("agreed", negotiated=True, id=100))
    if role == "offer":
        send_back(connection.createDataChannel("crowfly", protocol="crowfly.1"))
        open_channels(connection, kinds)
        await connection.setLocalDescription(await connection.createOffer())
        tell(connection)
    theirs = json.loads(await line())
    await connection.setRemoteDescription(RTCSessionDescription(**theirs))
    if role == "answer":
        open_channels(connection, kinds)
        await connection.setLocalDescription(await connection.createAnswer())
        tell(connection)
    # Until whoever started this is done.
    await line()
    await connection.close()


asyncio.run(main())
