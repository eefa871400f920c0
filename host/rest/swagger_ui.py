"""Swagger UI from the files of an installed package: a page and its assets, all served here."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<title>Cordbox REST API</title>
<link rel="stylesheet" href="{base}/swagger-assets/swagger-ui.css">
<link rel="icon" type="image/png" href="{base}/swagger-assets/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{base}/swagger-assets/swagger-ui-bundle.js"></script>
<script src="{base}/swagger-start.js"></script>
</body>
</html>
"""

_START = """window.onload = () => {{
  window.ui = SwaggerUIBundle({{
    url: "{base}/swagger.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    validatorUrl: null,
    presets: [SwaggerUIBundle.presets.apis],
  }});
}};
"""


def swagger_ui_routes() -> list[BaseRoute]:
    """The page (with and without trailing slash), its script, and the package's files."""
    from swagger_ui_bundle import swagger_ui_path  # noqa: PLC0415  # scans its files on import

    assets = StaticFiles(directory=Path(swagger_ui_path))
    return [
        Route("/swagger", _page),
        Route("/swagger/", _page),
        Route("/swagger-start.js", _start),
        Mount("/swagger-assets", assets),
    ]


async def _page(request: Request) -> Response:
    return HTMLResponse(_PAGE.format(base=request.scope["root_path"]))


async def _start(request: Request) -> Response:
    return Response(_START.format(base=request.scope["root_path"]), media_type="text/javascript")
