"""The pages and their files."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from server.security import Handler

STATIC = Path(__file__).resolve().parent.parent / "static"
_PAGES = {
    "/join": "join.html",
    "/console": "console.html",
    "/billing": "billing.html",
    "/api/docs": "docs.html",
}


def add_pages(app: web.Application) -> None:
    """Route the pages, ``/static/…`` and the way from ``/`` to the console."""
    for path, name in _PAGES.items():
        app.router.add_get(path, _page(STATIC / name))
    app.router.add_static("/static", STATIC, append_version=False)
    app.router.add_get("/", _to_console)


def _page(file: Path) -> Handler:
    async def page(_request: web.Request) -> web.StreamResponse:
        return web.FileResponse(file, headers={"Cache-Control": "no-cache"})

    return page


async def _to_console(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/console")


@web.middleware
async def revalidate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Browsers ask again for each file (ETag, RFC 9110 §8.8.3): a new release shows at once."""
    response = await handler(request)
    if request.path.startswith("/static/"):
        response.headers["Cache-Control"] = "no-cache"
    return response
