"""Serves the stage the way the desk is served: same configuration, same headers; `/test/…` is the far side of it."""

import asyncio
import json
import sys
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from cairnops.app import launch

BEATS: list[dict] = []
STATE = {"version": 1, "down": False, "serial": 0}


async def events(_: Request) -> Response:
    """The version, now and whenever it grows; nothing at all while it is down."""
    if STATE["down"]:
        return Response(status_code=503)

    async def say():
        serial, sent = STATE["serial"], STATE["version"] - 1
        while STATE["serial"] == serial:
            if missed := range(sent + 1, STATE["version"] + 1):
                sent = STATE["version"]
                yield "".join(f"data: {json.dumps(str(version))}\n\n" for version in missed)
            await asyncio.sleep(0.01)

    return StreamingResponse(say(), media_type="text/event-stream")


async def control(request: Request) -> Response:
    """Change the far side: `grow` (five versions at once), `down`, `up`, `forget`; and read the beats that came."""
    what = request.path_params["what"]
    if what == "grow":
        STATE["version"] += 5
    elif what in ("down", "up"):
        STATE.update(down=what == "down", serial=STATE["serial"] + 1)
    elif what == "forget":
        BEATS.clear()
    return JSONResponse(BEATS)


async def beat(request: Request) -> Response:
    """Take a sign of life."""
    BEATS.append(json.loads(await request.body()))
    return JSONResponse({})


if __name__ == "__main__":
    script, port = Path(sys.argv[1]), int(sys.argv[2])
    app = st.App(
        script,
        routes=[
            Route("/test/events", events),
            Route("/test/beat", beat, methods=["POST"]),
            Route("/test/{what}", control, methods=["POST"]),
        ],
        middleware=[Middleware(launch.SecurityHeaders)],
    )
    app.run(config=launch.configuration("127.0.0.1", port))
